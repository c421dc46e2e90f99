# What the trip test runs: asks CRM, ERP and billing about the customer, and says which order was paid twice.

try:
    known = crm.find_customer(email=customer.email)
    party = erp.find_party(email=customer.email)
except Ambiguous:
    ticket.add_tags(["ask-a-person"])
    ticket.add_note("Several parties have this address. Please choose the right one.")
    stop("Several parties have this address")

if party is None:
    stop("The ERP does not know this customer")
ticket.set_context(
    "party", {"name": party.name, "open_balance": party.receivable}, title="Party", source="erp.find_party"
)

first = {}
twice = []
charges = billing.list_charges(email=customer.email) or []
for charge in charges:
    key = (charge.order, charge.amount, charge.currency)
    if charge.status == "succeeded" and charge.order:
        if key in first:
            twice.append(charge)
        first[key] = charge

ticket.set_context(
    "payments",
    [{"amount": one.amount + " " + one.currency, "order": one.order, "status": one.status} for one in charges],
    title="Payments",
    source="billing.list_charges",
)
print("compared", len(charges), "payments of", known.name)
if twice:
    ticket.add_tags(["double-charge"])
    ticket.set_priority("high")
    for one in twice:
        ticket.add_note(f"Order {one.order} was paid twice: {one.amount} {one.currency}.")
