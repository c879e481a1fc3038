package dnssd

// Registry is what has been registered, as a Resolver looks it up. Names are
// labels without a domain and match regardless of case. Times to live are what
// an answer given now may promise.
type Registry interface {
	// FindHost returns a host with all of its services.
	FindHost(name string) (Host, bool)
	// FindService returns an instance of a type ("_hap._udp") and its host,
	// the latter without services.
	FindService(instance, typ string) (Host, Service, bool)
	// Browse calls each with the instances of a type, or, if subtype is not "",
	// of a subtype of it, in the order of their names, until it returns false.
	Browse(typ, subtype string, each func(Service) bool)
	// Types calls each with the types of which there are instances, in order,
	// until it returns false.
	Types(each func(typ string) bool)
}
