/** The page at `/`: says what this server is and where things are. Needs no script and nothing from elsewhere. */

export function startPage({ graphiql }: { readonly graphiql: boolean }): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>ListGenius Sync</title>
<style>
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 42rem; margin: 3rem auto; padding: 0 1rem; }
code { background: #8882; padding: .1em .3em; border-radius: .2em; }
</style>
</head>
<body>
<h1>ListGenius Sync</h1>
<p>Keeps stock, prices, orders and listings in step across Etsy, Amazon, eBay and Shopify.</p>
<ul>
<li>GraphQL: <code>POST /graphql</code>, <code>Authorization: Bearer &lt;API key&gt;</code>${
    graphiql ? '; <a href="/graphql">try it in GraphiQL</a>' : ''
  }</li>
<li>Live: the same address over WebSocket (<code>graphql-transport-ws</code>) and Server-Sent Events (<code>Accept: text/event-stream</code>)</li>
<li>The schema with all its descriptions: <code>schema.graphql</code> in the source</li>
<li>Health: <a href="/health">/health</a> (is it running), <a href="/ready">/ready</a> (may traffic come)</li>
</ul>
</body>
</html>
`;
}
