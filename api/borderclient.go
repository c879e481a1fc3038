package api

import (
	"context"
	"net/http"
)

// Border asks how the mesh is joined to the host's networks.
func (c *Client) Border(ctx context.Context) (out Border, err error) {
	err = c.call(ctx, http.MethodGet, "/border", nil, &out)
	return out, err
}

// Services asks what devices have registered.
func (c *Client) Services(ctx context.Context) (out []RegisteredHost, err error) {
	err = c.call(ctx, http.MethodGet, "/services", nil, &out)
	return out, err
}

// NAT64 asks for the mappings of the translator.
func (c *Client) NAT64(ctx context.Context) (out []Mapping, err error) {
	err = c.call(ctx, http.MethodGet, "/nat64", nil, &out)
	return out, err
}
