# Puts the order a customer asks about on the ticket, so that nobody has to look it up.

if not customer or not customer.email:
    stop("The ticket has no customer with an address")

try:
    orders = erp.list_orders(email=customer.email)
except Unavailable:
    said = "The ERP did not answer; the order is not known yet."
    ticket.set_context("order", error=said, title="Order", source="erp.list_orders")
    stop("The ERP did not answer")

if not orders:
    ticket.add_note("The ERP knows no order of this customer. Ask for the order number or another address of theirs.")
    ticket.add_tags(["no-order-found"])
    stop("There is no order")

# The order named in the message, else the newest one.
named = re.findall("LH-[0-9]+", ticket.message.text)
asked = [order for order in orders if order.number in named]
order = asked[0] if asked else sorted(orders, key=lambda one: one.date)[-1]

ticket.set_context(
    "order",
    {
        "number": order.number,
        "date": order.date,
        "product": order.product,
        "state": order.state,
        "total": order.total + " " + order.currency,
        "carrier": order.carrier or "not handed over yet",
        "tracking": order.tracking or "none yet",
    },
    title="Order " + order.number,
    source="erp.list_orders",
)
if order.state == "backorder":
    ticket.add_tags(["backorder"])
    ticket.add_note("Order " + order.number + " waits for stock. Tell the customer a date before promising the parcel.")
log("order", order.number, order.state)
