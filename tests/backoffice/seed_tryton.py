"""Runs inside the back office's own environment: a company, its chart of accounts, a fiscal year and one product.

Customers, orders and invoices are added by each test over JSON-RPC.
"""

import sys
from decimal import Decimal

from proteus import Model, config

conf, database = sys.argv[1:3]
config.set_trytond(database=f"sqlite:///{database}", config_file=conf)

from trytond.modules.account.tests.tools import create_chart, create_fiscalyear, get_accounts  # noqa: E402
from trytond.modules.account_invoice.tests.tools import (  # noqa: E402
    create_payment_term,
    set_fiscalyear_invoice_sequences,
)
from trytond.modules.company.tests.tools import create_company  # noqa: E402
from trytond.modules.currency.tests.tools import get_currency  # noqa: E402

create_company(currency=get_currency("EUR"))
create_chart()
set_fiscalyear_invoice_sequences(create_fiscalyear()).click("create_period")
accounts = get_accounts()
category = Model.get("product.category")(
    name="Services",
    accounting=True,
    account_expense=accounts["expense"],
    account_revenue=accounts["revenue"],
)
category.save()
(unit,) = Model.get("product.uom").find([("name", "=", "Unit")])
Model.get("product.template")(
    name="Support plan",
    default_uom=unit,
    type="service",
    salable=True,
    list_price=Decimal("49.90"),
    account_category=category,
).save()
create_payment_term().save()
