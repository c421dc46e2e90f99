# Finds double charges: asks CRM, ERP and billing about the customer, shows what they know, says what was paid twice.

if not customer or not customer.email:
    stop("The ticket has no customer with an address")
email = customer.email

# Who is this? A system that does not answer gets a card that says so; the others go on.
try:
    known = crm.find_customer(email=email)
    if known:
        facts = {"tier": known.tier, "since": (known.since or "")[:10], "city": known.city}
        ticket.set_context("crm", facts, title="Customer in the CRM", source="crm.find_customer")
        if known.tier == "platinum":
            ticket.set_priority("urgent")
except Unavailable:
    ticket.set_context("crm", error="The CRM did not answer.", title="Customer in the CRM", source="crm.find_customer")
except Ambiguous:
    ticket.add_note("The CRM knows several customers with this address. Please choose the right one.")

# What did they order?
try:
    orders = erp.list_orders(email=email) or []
    shown = [{"number": one.number, "date": one.date, "state": one.state, "total": one.total} for one in orders]
    ticket.set_context("orders", shown, title="Orders", source="erp.list_orders")
except Unavailable:
    ticket.set_context("orders", error="The ERP did not answer.", title="Orders", source="erp.list_orders")
except Ambiguous:
    ticket.add_note("The ERP knows several parties with this address. Please choose the right one.")

# What did they pay? Without the payments there is nothing to compare, and a person must look.
try:
    charges = billing.list_charges(email=email)
except Unavailable:
    ticket.set_context("billing", error="Billing did not answer.", title="Payments", source="billing.list_charges")
    ticket.add_tags(["check-payments"])
    stop("Billing did not answer, so the payments were not compared")
except Ambiguous:
    ticket.add_tags(["check-payments"])
    ticket.add_note("Billing has several customers with this address. Please choose the right one and compare.")
    stop("Several customers in billing have this address")

first = {}
twice = []
for charge in sorted(charges or [], key=lambda one: one.created):
    if charge.status != "succeeded":
        continue
    key = (charge.order, charge.amount, charge.currency)
    if charge.order and key in first:
        twice.append(charge)
    else:
        first[key] = charge

payments = [
    {
        "order": one.order,
        "amount": one.amount + " " + one.currency,
        "at": (one.created or "")[:16],
        "status": one.status,
    }
    for one in charges or []
]
ticket.set_context("billing", payments, title="Payments", source="billing.list_charges")

if twice:
    ticket.add_tags(["double-charge"])
    for one in twice:
        ticket.add_note(f"Order {one.order} was paid twice: {one.amount} {one.currency}. Refund payment {one.id}.")
        log("paid twice", one.order, one.amount, one.currency)
else:
    ticket.add_note(f"No order was paid twice; {len(payments)} payments were compared.")
