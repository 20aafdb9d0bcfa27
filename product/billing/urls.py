"""Product's addresses about money: routed only where something is sold (``BILLING``)."""

from django.conf import settings
from django.urls import path

from product.billing import pages as billing_pages
from product.billing import payment_views as payments
from product.billing import views as billing
from product.pages.billing.urls import urlpatterns as page_urls

urlpatterns = [
    *page_urls,
    # Where a payment page leads back to
    path("billing/success", billing_pages.checkout_success, name="billing-success"),
    path("billing/cancel", billing_pages.checkout_canceled, name="billing-cancel"),
    # Subscriptions and billing
    path("api/subscriptions/plans", billing.PlansView.as_view(), name="plans"),
    path("api/subscriptions/checkout", billing.StartCheckoutView.as_view(), name="checkout-start"),
    path("api/subscriptions/checkout/<str:checkout_id>", billing.CheckoutView.as_view(), name="checkout"),
    path("api/subscriptions/current", billing.CurrentView.as_view(), name="subscription-current"),
    path("api/subscriptions/change", billing.ChangeView.as_view(), name="subscription-change"),
    path("api/subscriptions/change/preview", billing.PreviewView.as_view(), name="subscription-preview"),
    path("api/subscriptions/change/cancel", billing.CallOffChangeView.as_view(), name="subscription-change-cancel"),
    path("api/subscriptions/cancel", billing.CancelView.as_view(), name="subscription-cancel"),
    path("api/subscriptions/resume", billing.ResumeView.as_view(), name="subscription-resume"),
    path("api/billing/payment-method", payments.AddPaymentMethodView.as_view(), name="payment-method-add"),
    path("api/billing/payment-methods", payments.PaymentMethodsView.as_view(), name="payment-methods"),
    path(
        "api/billing/payment-methods/<str:payment_method_id>",
        payments.PaymentMethodView.as_view(),
        name="payment-method",
    ),
    path("api/billing/details", payments.BillingDetailsView.as_view(), name="billing-details-api"),
    path("api/billing/invoices", payments.InvoicesView.as_view(), name="invoices"),
    path("api/billing/invoices/<str:invoice_id>", payments.InvoiceView.as_view(), name="invoice"),
    path("api/billing/entitlements", payments.EntitlementsView.as_view(), name="entitlements"),
    path("api/billing/portal", payments.PortalView.as_view(), name="billing-portal"),
]

if settings.USES_LOCAL_PROVIDER:
    from product.billing import local_provider_pages

    urlpatterns += [
        path("checkout/<str:session_id>", local_provider_pages.hosted_checkout, name="hosted-checkout"),
        path("billing/invoices/<str:invoice_id>", local_provider_pages.hosted_invoice, name="hosted-invoice"),
        path("billing/portal/<str:session_id>", local_provider_pages.hosted_portal, name="hosted-portal"),
    ]
