// What a web application does with GraphQL, with @urql/core: sign in, page, write, read errors, renew its tokens.
import assert from "node:assert/strict";
import { Client, fetchExchange, gql } from "@urql/core";

const { SERVICE_URL, EMAIL, PASSWORD } = process.env;
let token = null;

const options = {
  url: `${SERVICE_URL}/graphql`,
  exchanges: [fetchExchange],
  fetchOptions: () => ({ headers: token ? { authorization: `Bearer ${token}` } : {} }),
};
const client = new Client({ ...options, preferGetMethod: false });

const problems = (result) =>
  (result.error?.graphQLErrors ?? []).map((each) => each.extensions.type.split(":").at(-1));

async function ask(document, variables = {}) {
  const mutates = document.definitions[0].operation === "mutation";
  const result = await (mutates ? client.mutation : client.query).call(client, document, variables);
  if (result.error) assert.fail(String(result.error));
  return result.data;
}

const ME = gql`query Me { me { email } }`;
const LOGIN = gql`
  mutation Login($email: String!, $password: String!) {
    login(email: $email, password: $password) { accessToken refreshToken }
  }
`;
const REFRESH = gql`
  mutation Refresh($token: String!) {
    refresh(refreshToken: $token) { accessToken refreshToken }
  }
`;
const PRODUCT = gql`fragment Shown on Product { id sku name price }`;
const CREATE = gql`
  mutation Create($input: NewProduct!) { createProduct(input: $input) { ...Shown } }
  ${PRODUCT}
`;
const UPDATE = gql`
  mutation Update($id: ID!, $input: ProductChange!) {
    updateProduct(id: $id, input: $input) { ...Shown }
  }
  ${PRODUCT}
`;
const DELETE = gql`mutation Delete($id: ID!) { deleteProduct(id: $id) }`;
const ONE = gql`query One($id: ID!) { product(id: $id) { ...Shown } } ${PRODUCT}`;
const PAGE = gql`
  query Page($first: Int!, $after: String) {
    products(first: $first, after: $after, sort: "sku") {
      nodes { ...Shown }
      pageInfo { hasNextPage endCursor }
      totalCount
    }
  }
  ${PRODUCT}
`;

// By default this library queries with GET, which is refused with the method to use.
const { error } = await new Client(options).query(ME, {});
assert.equal(error.response.status, 405);
assert.match(error.response.headers.get("allow"), /\bPOST\b/);

// A stranger is refused, and so is a wrong password.
assert.deepEqual(problems(await client.query(ME, {})), ["not-authenticated"]);
const wrong = await client.mutation(LOGIN, { email: EMAIL, password: "wrong" });
assert.deepEqual(problems(wrong), ["wrong-credentials"]);
assert.equal(wrong.error.graphQLErrors[0].extensions.status, 401);

const { login } = await ask(LOGIN, { email: EMAIL, password: PASSWORD });
token = login.accessToken;
assert.equal((await ask(ME)).me.email, EMAIL);

// Products are created, and read page by page.
const skus = Array.from({ length: 7 }, (_, number) => `SKU-${number}`);
for (const [number, sku] of skus.entries()) {
  const { createProduct } = await ask(CREATE, { input: { sku, name: `Tea ${number}`, price: 2 ** 33 + number } });
  assert.equal(createProduct.price, 2 ** 33 + number);
}
const found = [];
let after = null;
for (let pages = 1; ; pages += 1) {
  const { products } = await ask(PAGE, { first: 3, after });
  assert.equal(products.totalCount, skus.length);
  found.push(...products.nodes);
  after = products.pageInfo.endCursor;
  if (!products.pageInfo.hasNextPage) {
    assert.equal(pages, 3);
    break;
  }
}
assert.deepEqual(found.map((each) => each.sku), skus);

// What breaks a rule is refused with the type of the problem, and names the argument.
const taken = await client.mutation(CREATE, { input: { sku: skus[0], name: "Again", price: 1 } });
assert.deepEqual(problems(taken), ["sku-taken"]);
assert.equal(taken.data.createProduct, null);
const negative = await client.mutation(CREATE, { input: { sku: "NEW", name: "New", price: -1 } });
assert.deepEqual(problems(negative), ["validation-error"]);
assert.equal(negative.error.graphQLErrors[0].extensions.errors[0].pointer, "/price");
const untyped = await client.mutation(CREATE, { input: { sku: "NEW", name: "New", price: "1" } });
assert.deepEqual(problems(untyped), ["invalid-query"]);
assert.equal(untyped.error.response.status, 400);

// One is changed, and deleted.
const { id } = found[0];
assert.equal((await ask(UPDATE, { id, input: { name: "Renamed" } })).updateProduct.name, "Renamed");
assert.equal((await ask(ONE, { id })).product.name, "Renamed");
assert.equal((await ask(DELETE, { id })).deleteProduct, id);
assert.deepEqual(problems(await client.query(ONE, { id })), ["product-not-found"]);

// A refresh token is exchanged for new tokens.
const { refresh } = await ask(REFRESH, { token: login.refreshToken });
assert.notEqual(refresh.refreshToken, login.refreshToken);
token = refresh.accessToken;
assert.equal((await ask(ME)).me.email, EMAIL);

// What is not known of the schema is asked of it, as code generators do.
const { __schema } = await ask(gql`query Kinds { __schema { queryType { name } } }`);
assert.equal(__schema.queryType.name, "Query");

process.stdout.write("done\n");
