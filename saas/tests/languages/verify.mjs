// What saas/docs/another-service.md tells a service in JavaScript to do: access tokens verified from the public keys alone.
// Reads one JSON object {name: token} a line and answers with {name: subject, or the code of jose's refusal}.
import { createInterface } from "node:readline";
import { createRemoteJWKSet, jwtVerify } from "jose";

const [jwksUrl, issuer] = process.argv.slice(2);
const keys = createRemoteJWKSet(new URL(jwksUrl), { cooldownDuration: 0 }); // the test does not wait between its requests
const rules = {
  issuer,
  audience: "saas",
  algorithms: ["ES256"],
  typ: "at+jwt",
  requiredClaims: ["sub", "sid", "exp", "iat", "jti"],
};

async function verdict(token) {
  try {
    return (await jwtVerify(token, keys, rules)).payload.sub;
  } catch (error) {
    return error.code;
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  const told = {};
  for (const [name, token] of Object.entries(JSON.parse(line))) told[name] = await verdict(token);
  console.log(JSON.stringify(told));
}
