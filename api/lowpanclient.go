package api

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
)

// Sessions asks which devices are authenticated.
func (c *Client) Sessions(ctx context.Context) (out []Session, err error) {
	err = c.call(ctx, http.MethodGet, "/pana/sessions", nil, &out)
	return out, err
}

// Disconnect ends a session, by its number, identity or device, and with rotate
// changes the network key, which the device knows.
func (c *Client) Disconnect(ctx context.Context, who string, rotate bool) (out KeyRotation, err error) {
	path := "/pana/sessions/" + url.PathEscape(who)
	if rotate {
		path += "?rotate=true"
	}
	err = c.call(ctx, http.MethodDelete, path, nil, &out)
	return out, err
}

// Reauthenticate lets a session's device prove itself again.
func (c *Client) Reauthenticate(ctx context.Context, who string) error {
	return c.call(ctx, http.MethodPost, "/pana/sessions/"+url.PathEscape(who)+"/reauth", nil, nil)
}

// Credentials asks who may join by EAP.
func (c *Client) Credentials(ctx context.Context) (out []Credential, err error) {
	err = c.call(ctx, http.MethodGet, "/credentials", nil, &out)
	return out, err
}

// AddCredential lets an identity join.
func (c *Client) AddCredential(ctx context.Context, in NewCredential) (out Credential, err error) {
	err = c.call(ctx, http.MethodPost, "/credentials", in, &out)
	return out, err
}

// RemoveCredential lets an identity join no more.
func (c *Client) RemoveCredential(ctx context.Context, identity string) error {
	return c.call(ctx, http.MethodDelete, "/credentials/"+url.PathEscape(identity), nil, nil)
}

// TestRADIUS asks the RADIUS servers about an identity.
func (c *Client) TestRADIUS(ctx context.Context, identity string) (out RADIUSTest, err error) {
	ctx, cancel := context.WithTimeout(ctx, radiusWait+writeTimeout)
	defer cancel()
	b, err := c.send(ctx, http.MethodPost, "/radius/test", RADIUSTest{Identity: identity})
	if err != nil {
		return out, err
	}
	defer b.Close()
	if err := json.NewDecoder(io.LimitReader(b, maxAnswer)).Decode(&out); err != nil {
		return out, fmt.Errorf("api: the gateway's answer makes no sense: %w", err)
	}
	return out, nil
}

// Registrations asks for the addresses that are registered.
func (c *Client) Registrations(ctx context.Context) (out []Registration, err error) {
	err = c.call(ctx, http.MethodGet, "/nd", nil, &out)
	return out, err
}

// Routes asks for the ways that RPL knows.
func (c *Client) Routes(ctx context.Context) (out []Route, err error) {
	err = c.call(ctx, http.MethodGet, "/routes", nil, &out)
	return out, err
}

// Leases asks for the addresses that are handed out by DHCPv6.
func (c *Client) Leases(ctx context.Context) (out []Lease, err error) {
	err = c.call(ctx, http.MethodGet, "/leases", nil, &out)
	return out, err
}

// Permit lets devices join, or not.
func (c *Client) Permit(ctx context.Context, on bool) error {
	return c.call(ctx, http.MethodPost, "/permit", Permit{Permit: on}, nil)
}

// RotateKey changes the network key.
func (c *Client) RotateKey(ctx context.Context) (out KeyRotation, err error) {
	err = c.call(ctx, http.MethodPost, "/rotate-key", struct{}{}, &out)
	return out, err
}
