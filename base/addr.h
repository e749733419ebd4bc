/* base/addr.h - an IP address and port, and address prefixes. Plain values: compare with addr_eq. */
#ifndef BASE_ADDR_H
#define BASE_ADDR_H
#include "base/sv.h"
#include <sys/socket.h>

struct addr {
	uint8_t ip[16];   /* IPv4 in the first four, the rest zero */
	uint32_t scope;   /* IPv6 link-local interface, else 0 */
	uint16_t port;    /* host byte order */
	uint8_t family;   /* 4, 6, or 0: none */
	uint8_t reserved; /* zero, so that bytes can be hashed */
};

enum { ADDR_TEXT = 64 };

/* "192.0.2.1", "192.0.2.1:5060", "[2001:db8::1]:5060", "2001:db8::1". Port 0 when absent.
 * An IPv4-mapped IPv6 address becomes IPv4. 0 or -EBADMSG (a host name or a zone id is -EBADMSG). */
int addr_parse(struct addr *out, struct sv text);
/* The address alone, without brackets / "addr:port" with brackets for IPv6. Returns `buf`. */
const char *addr_print_ip(const struct addr *a, char buf[ADDR_TEXT]);
const char *addr_print(const struct addr *a, char buf[ADDR_TEXT]);
bool addr_eq(const struct addr *a, const struct addr *b);       /* with port */
bool addr_eq_ip(const struct addr *a, const struct addr *b);    /* without port */
int addr_order_ip(const struct addr *a, const struct addr *b);  /* of two that it tells apart one is always first: -, 0, + */
bool addr_is_any(const struct addr *a);                         /* 0.0.0.0 or :: */
bool addr_is_loopback(const struct addr *a);                    /* 127.0.0.0/8 or ::1 */
socklen_t addr_to_sockaddr(const struct addr *a, struct sockaddr_storage *out);
/* 0, or -EAFNOSUPPORT. IPv4-mapped becomes IPv4. */
int addr_from_sockaddr(struct addr *out, const struct sockaddr *sa);

struct prefix {
	struct addr net;
	uint8_t bits;
};

/* "10.0.0.0/8", or an address alone (all bits). Bits behind the prefix become zero. 0 or -EBADMSG. */
int prefix_parse(struct prefix *out, struct sv text);
bool prefix_has(const struct prefix *p, const struct addr *a);

#endif
