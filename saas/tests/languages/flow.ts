// A person's way through Product and Parity, by clients whose types come from the OpenAPI documents.
import createClient from "openapi-fetch";
import type { components as ParityComponents, paths as ParityPaths } from "./parity.js";
import type { components as ProductComponents, paths as ProductPaths } from "./product.js";
import type { paths as AdminPaths } from "./admin_ops.js";
import type { paths as WebhookPaths } from "./webhooks.js";

type Login = ProductComponents["schemas"]["Login"];
type CamelLogin = ParityComponents["schemas"]["Login"];

declare const process: { argv: string[] };
const [productUrl, parityUrl, adminUrl, webhooksUrl, email, password] = process.argv.slice(2) as [
  string, string, string, string, string, string,
];

function told<T>(answer: { data?: T; error?: { code: string; detail: string } }): T {
  if (answer.data === undefined) throw new Error(answer.error ? `${answer.error.code}: ${answer.error.detail}` : "no answer");
  return answer.data;
}

const product = createClient<ProductPaths>({ baseUrl: productUrl });
const login: Login = told(await product.POST("/api/auth/register", { body: { email, password, full_name: "Tess Script" } }));
const headers = { Authorization: `Bearer ${login.access_token}` };
const plans = told(await product.GET("/api/subscriptions/plans"));
const team = told(await product.POST("/api/teams", { headers, body: { name: "Typed" } }));
const refused = await product.PATCH("/api/users/profile", { headers, body: { timezone: "Nowhere" } });

const parity = createClient<ParityPaths>({ baseUrl: parityUrl });
const again = told(await parity.POST("/auth/login", { body: { email, password } }));
const whole: CamelLogin | undefined = "sessionId" in again ? again : undefined;
const profile = told(await parity.PUT("/users/profile", { headers, body: { displayName: "Tess" } }));

const admin = createClient<AdminPaths>({ baseUrl: adminUrl });
const staff = await admin.GET("/api/admin/users", { params: { query: { status: "active" } }, headers });
const webhooks = createClient<WebhookPaths>({ baseUrl: webhooksUrl });
const alive = told(await webhooks.GET("/health"));

console.log(
  JSON.stringify({
    user: login.user.full_name,
    plans: plans.plans.map((plan) => plan.id),
    team: team.team.name,
    refused: Object.keys(refused.error?.errors ?? {}),
    same: whole?.user.id === login.user.id,
    displayName: profile.displayName,
    staff: staff.response.status,
    alive: alive.status,
  }),
);
