// The server's OpenAPI description, to be read: no library, and nothing from elsewhere.

const make = (tag, text, ...children) => {
  const element = document.createElement(tag);
  if (text) element.textContent = text;
  element.append(...children);
  return element;
};

const { info, paths, components } = await (await fetch("/openapi.json")).json();
const resolved = (schema) => (schema?.$ref ? components.schemas[schema.$ref.split("/").pop()] : schema);
const named = (schema) => schema?.$ref?.split("/").pop() ?? schema?.type ?? schema?.anyOf?.map(named).join(" or ") ?? "any";

document.getElementById("about").textContent = `${info.version}. ${info.description.replaceAll("`", "")}`;

function fields(schema) {
  const list = make("ul");
  for (const [name, field] of Object.entries(resolved(schema)?.properties ?? {})) {
    const choices = field.enum ? `: ${field.enum.join(", ")}` : "";
    const item = make("li", "", make("code", name), ` ${named(field)}${choices}. ${field.description ?? ""}`);
    list.append(item);
  }
  return list;
}

function example(method, path, operation) {
  const parts = [`curl ${method === "get" ? "" : `-X ${method.toUpperCase()} `}${location.origin}${path}`];
  const form = operation.requestBody?.content["multipart/form-data"]?.example;
  if (form) parts.push("-F voice=@vocals.wav", ...Object.entries(form).map(([name, value]) => `-F ${name}='${value}'`));
  return parts.join(" \\\n  ");
}

for (const [path, operations] of Object.entries(paths)) {
  for (const [method, operation] of Object.entries(operations)) {
    const section = make("section", "", make("h2", `${method.toUpperCase()} ${path}`), make("p", operation.summary + "."));
    for (const paragraph of (operation.description ?? "").split("\n\n")) section.append(make("p", paragraph.replaceAll("`", "")));
    section.append(make("pre", "", make("code", example(method, path, operation))));
    const form = operation.requestBody?.content["multipart/form-data"]?.schema;
    if (form) section.append(make("details", "", make("summary", "Fields of the form"), fields(form)));
    for (const [status, answer] of Object.entries(operation.responses)) {
      const [kind, content] = Object.entries(answer.content ?? {})[0] ?? ["", {}];
      const details = make("details", "", make("summary", `${status} ${answer.description} ${kind}`));
      if (content.schema) details.append(fields(content.schema));
      section.append(details);
    }
    document.getElementById("operations").append(section);
  }
}
