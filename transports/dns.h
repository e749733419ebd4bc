/* transports/dns.h - what a name server's message says to one question. The bytes are hostile. Pure. */
#ifndef TRANSPORTS_DNS_H
#define TRANSPORTS_DNS_H
#include "base/addr.h"

enum dns_type { DNS_HOSTS = 0, DNS_A = 1, DNS_CNAME = 5, DNS_SOA = 6, DNS_AAAA = 28, DNS_SRV = 33, DNS_NAPTR = 35 }; /* HOSTS: /etc/hosts */

enum dns_limits {
	DNS_NAME_MAX = 253,      /* bytes of a name as text */
	DNS_KEPT_MAX = 8,        /* records of one answer: of more, the best */
	DNS_RECORDS_MAX = 256,   /* looked at in one message */
	DNS_CHAIN_MAX = 8,       /* CNAMEs one after the other */
	DNS_JUMPS_MAX = 127,     /* pointers that one name follows: no name has more labels */
};

#define DNS_NO_TTL UINT32_MAX

struct dns_srv {
	uint16_t priority, weight, port;
	char host[DNS_NAME_MAX + 1];
};

/* One that leads to SRV records (flag "s") of a way to speak SIP (RFC 3263 §4.1, RFC 7118 §8). */
struct dns_naptr {
	uint16_t order, preference;
	uint8_t transport;       /* enum transport */
	char name[DNS_NAME_MAX + 1];
};

/* The records of one type behind a name, the best first: SRV by priority, then weight; NAPTR by order, then preference. */
struct dns_set {
	uint32_t ttl_s;          /* the shortest; without records what the SOA says of their absence (RFC 2308 §5), or DNS_NO_TTL */
	uint16_t type, n;
	bool is_refused;         /* SRV: the only target is ".": the service is decidedly not there (RFC 2782) */
	union {
		struct addr addr[DNS_KEPT_MAX]; /* without ports, each once */
		struct dns_srv srv[DNS_KEPT_MAX];
		struct dns_naptr naptr[DNS_KEPT_MAX];
	};
};

/* How many bytes of a set are in use: a copy needs no more. */
size_t dns_set_size(const struct dns_set *s);
/* Host names that can be asked for: labels of 1 to 63 letters, digits, "-" and "_", in lower case, without a last dot. 0 or -EBADMSG. */
int dns_name(char out[DNS_NAME_MAX + 1], struct sv name);
/* Is it `name`, or below it: _sip._udp.NAME? */
bool dns_is_below(const char *what, const char *name);
const char *dns_type_name(uint16_t type);
/* The records of `type` (not HOSTS) at `name` (as dns_name has it), or where its CNAMEs lead. 0, also without any, or -EBADMSG. */
int dns_parse(struct dns_set *out, uint16_t type, const char *name, const unsigned char *bytes, size_t len);

#endif
