package eap

import "strconv"

// Type is an EAP type (RFC 3748 Section 5, IANA "Method Types").
type Type uint8

// The types known here.
const (
	TypeIdentity     Type = 1
	TypeNotification Type = 2
	TypeNak          Type = 3
	TypeTLS          Type = 13
	TypePSK          Type = 47
	TypeNOOB         Type = 56
	TypeExpanded     Type = 254
)

func (t Type) String() string {
	switch t {
	case TypeIdentity:
		return "Identity"
	case TypeNotification:
		return "Notification"
	case TypeNak:
		return "Nak"
	case TypeTLS:
		return "EAP-TLS"
	case TypePSK:
		return "EAP-PSK"
	case TypeNOOB:
		return "EAP-NOOB"
	case TypeExpanded:
		return "Expanded"
	default:
		return "type " + strconv.Itoa(int(t))
	}
}
