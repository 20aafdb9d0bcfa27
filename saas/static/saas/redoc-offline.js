// ReDoc's bundle fetches its maker's logo from a CDN and has no switch for it. Nothing on our pages comes from elsewhere.
"use strict";

(() => {
  const image = HTMLImageElement.prototype;
  const { get, set } = Object.getOwnPropertyDescriptor(image, "src");
  const setAttribute = image.setAttribute;
  const isTheLogo = (value) => new URL(value, location.href).host === "cdn.redoc.ly";

  Object.defineProperty(image, "src", {
    get,
    set(value) {
      if (!isTheLogo(value)) set.call(this, value);
    },
  });
  image.setAttribute = function (name, value) {
    if (name !== "src" || !isTheLogo(value)) setAttribute.call(this, name, value);
  };
})();
