/* Swagger UI puts a link into the button of each operation. Without it the button is one control, and still names the operation
   in the address when it is pressed. What stands above the operations gets a landmark, as these have. */
"use strict";

const accessible = (system) => {
  const element = system.React.createElement;
  const named = (name) => (Original) => (props) => element("section", { "aria-label": name }, element(Original, props));
  return {
    components: { DeepLink: ({ text }) => element("span", null, text) },
    wrapComponents: { InfoContainer: named("Introduction"), SchemesContainer: named("Authorization") },
  };
};
