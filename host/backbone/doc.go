// Package backbone is the host's end of the backbone link, for a Backbone Router
// of a Thread domain: it carries TMF between the domain's Backbone Routers (UDP
// port 61631, from link-local addresses), and answers on the links for the
// addresses of devices that are registered, by neighbour discovery (RFC 4861
// Section 7.2.8).
//
// Solicitations are read as they come over the wire: those that a neighbour
// sends to the address itself the kernel would try to forward.
package backbone
