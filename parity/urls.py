"""The Parity API, port 8002: the authentication contract in camelCase. Read it as the API reference.

Every address stands here twice: as the starter's clients know it, without a prefix, and under ``/api``.
"""

from django.urls import include, path

from parity.convention import in_camel_case
from parity.modules import MODULES
from saas.api.accounts import personal_data, second_factor, security
from saas.api.accounts import views as accounts
from saas.api.service_urls import common_urls, handler400, handler403, handler404, handler500

__all__ = ["handler400", "handler403", "handler404", "handler500", "urlpatterns"]

contract = [
    # Authentication
    path("auth/register", in_camel_case(accounts.RegisterView), name="register"),
    path("auth/login", in_camel_case(accounts.LoginView), name="login"),
    path("auth/refresh", in_camel_case(accounts.RefreshView), name="refresh"),
    path("auth/logout", in_camel_case(accounts.LogoutView), name="logout"),
    path("auth/logout-all", in_camel_case(accounts.LogoutAllView), name="logout-all"),
    path("auth/csrf", in_camel_case(accounts.CsrfView), name="csrf"),
    path("auth/me", in_camel_case(accounts.MeView), name="me"),
    path("auth/sessions", in_camel_case(accounts.SessionsView), name="sessions"),
    path("auth/sessions/<str:sid>", in_camel_case(accounts.SessionView), name="session"),
    path("auth/reauthenticate", in_camel_case(security.ReauthenticateView), name="reauthenticate"),
    path("auth/password/change", in_camel_case(security.ChangePasswordView), name="password-change"),
    path("auth/password/forgot", in_camel_case(security.ForgotPasswordView), name="password-forgot"),
    path("auth/password/reset", in_camel_case(security.ResetPasswordView), name="password-reset"),
    path("auth/email/verify", in_camel_case(security.VerifyEmailView), name="email-verify"),
    path("auth/email/verify/preview", in_camel_case(security.PreviewVerificationView), name="email-verify-preview"),
    path("auth/email/disown", in_camel_case(security.DisownView), name="email-disown"),
    path("auth/email/resend", in_camel_case(security.ResendVerificationView), name="email-resend"),
    path("auth/email/change", in_camel_case(security.ChangeEmailView), name="email-change"),
    # Second factor
    path("auth/mfa/verify", in_camel_case(second_factor.VerifyView), name="mfa-verify"),
    path("auth/mfa/totp", in_camel_case(second_factor.TotpView), name="mfa-totp"),
    path("auth/mfa/totp/confirm", in_camel_case(second_factor.ConfirmView), name="mfa-confirm"),
    path("auth/mfa/recovery-codes", in_camel_case(second_factor.RecoveryCodesView), name="mfa-recovery-codes"),
    # Profile, and a person's data
    path("users/profile", in_camel_case(accounts.ProfileView), name="profile"),
    path("users/export", in_camel_case(personal_data.ExportView), name="user-export"),
    path("users/me", in_camel_case(personal_data.OwnAccountView), name="own-account"),
    path("auth/deletion/cancel", in_camel_case(personal_data.CancelDeletionView), name="deletion-cancel"),
]

urlpatterns = [
    *common_urls(
        "Parity API", "The authentication contract in camelCase, on the accounts of the Product API.", MODULES
    ),
    path("", include(contract)),
    path("api/", include(contract)),
]
