#include "transports/dns.h"
#include "transports/net.h"
#include <errno.h>
#include <stdio.h>

enum { HEAD = 12, QUESTION_FIXED = 4, RR_FIXED = 10, CLASS_IN = 1, LABEL_MAX = 63, POINTER = 0xc0, SOA_NUMBERS = 20 };

/* Within one message. */
struct cursor {
	const unsigned char *base, *at, *end;
};

struct rr {
	char owner[DNS_NAME_MAX + 1];
	uint16_t type, class;
	uint32_t ttl_s;
	const unsigned char *data, *data_end;
};

static uint16_t u16(const unsigned char *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static uint32_t u32(const unsigned char *p)
{
	return (uint32_t)u16(p) << 16 | u16(p + 2);
}

/* Names ----------------------------------------------------------------------------------------------------------- */

/* In lower case; 0: no host name has it. */
static char host_byte(unsigned char c)
{
	if (c >= 'A' && c <= 'Z')
		return (char)(c | 0x20);
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ? (char)c : '\0';
}

int dns_name(char out[DNS_NAME_MAX + 1], struct sv name)
{
	size_t label = 0;

	if (name.len && name.p[name.len - 1] == '.')
		name.len--;
	if (name.len == 0 || name.len > DNS_NAME_MAX)
		return -EBADMSG;
	for (size_t i = 0; i < name.len; i++) {
		bool is_dot = name.p[i] == '.';

		out[i] = is_dot ? '.' : host_byte((unsigned char)name.p[i]);
		if (is_dot ? label == 0 : !out[i])
			return -EBADMSG;
		label = is_dot ? 0 : label + 1;
		if (label > LABEL_MAX)
			return -EBADMSG;
	}
	out[name.len] = '\0';
	return label ? 0 : -EBADMSG;
}

/* One more label of a name that has `n` bytes so far; what no host name has becomes '?', which is equal to nothing we ask for. 0: it
 * does not fit. */
static size_t add_label(char out[DNS_NAME_MAX + 1], size_t n, const unsigned char *label, size_t len)
{
	if (n + (n > 0) + len > DNS_NAME_MAX)
		return 0;
	if (n)
		out[n++] = '.';
	for (size_t i = 0; i < len; i++) {
		char c = host_byte(label[i]);

		out[n++] = c ? c : '?';
	}
	return n;
}

/* The name at the cursor, which moves behind it. Pointers lead backwards only (RFC 1035 §4.1.4), so they end; soon, too: a message has
 * room for thousands in a row, and for hundreds of names that begin with the last. */
static int take_name(struct cursor *c, char out[DNS_NAME_MAX + 1])
{
	const unsigned char *at = c->at, *limit = c->at, *behind = NULL;
	size_t n = 0;
	unsigned jumps = 0;

	for (;;) {
		size_t len = at < c->end ? *at++ : POINTER;

		if (len == 0)
			break;
		if ((len & POINTER) == POINTER) {
			size_t to = at < c->end ? (len & ~(size_t)POINTER) << 8 | *at++ : SIZE_MAX;

			if (to >= (size_t)(limit - c->base) || ++jumps > DNS_JUMPS_MAX)
				return -EBADMSG;
			behind = behind ? behind : at;
			at = limit = c->base + to;
			continue;
		}
		if (len > LABEL_MAX || (size_t)(c->end - at) < len || !(n = add_label(out, n, at, len)))
			return -EBADMSG;
		at += len;
	}
	out[n] = '\0';
	c->at = behind ? behind : at;
	return 0;
}

static bool is_host(const char *name)
{
	return *name && !strchr(name, '?');
}

/* Records --------------------------------------------------------------------------------------------------------- */

static int take_record(struct cursor *c, struct rr *out)
{
	uint16_t len;
	uint32_t ttl;

	if (take_name(c, out->owner) || c->end - c->at < RR_FIXED)
		return -EBADMSG;
	out->type = u16(c->at);
	out->class = u16(c->at + 2);
	ttl = u32(c->at + 4);
	out->ttl_s = ttl > INT32_MAX ? 0 : ttl; /* RFC 2181 §8 */
	len = u16(c->at + 8);
	c->at += RR_FIXED;
	if (c->end - c->at < len)
		return -EBADMSG;
	out->data = c->at;
	out->data_end = c->at += len;
	return 0;
}

/* The name in a record's data from `skip` on, which has to end with the data. */
static int data_name(const struct cursor *message, const struct rr *rr, size_t skip, char out[DNS_NAME_MAX + 1])
{
	struct cursor c = { message->base, rr->data + skip, rr->data_end };

	if ((size_t)(rr->data_end - rr->data) < skip || take_name(&c, out))
		return -EBADMSG;
	return c.at == rr->data_end ? 0 : -EBADMSG;
}

/* Of more addresses than are kept the lowest stay: servers rotate them, and each answer is to say the same. */
static void keep_addr(struct dns_set *out, const struct addr *a)
{
	unsigned highest = 0;

	if (out->n < DNS_KEPT_MAX) {
		out->addr[out->n++] = *a;
		return;
	}
	for (unsigned i = 1; i < out->n; i++)
		if (addr_order_ip(&out->addr[i], &out->addr[highest]) > 0)
			highest = i;
	if (addr_order_ip(a, &out->addr[highest]) < 0)
		out->addr[highest] = *a;
}

static int take_addr(const struct rr *rr, struct dns_set *out)
{
	size_t len = (size_t)(rr->data_end - rr->data);
	struct addr a = { .family = rr->type == DNS_A ? 4 : 6 };

	if (len != (rr->type == DNS_A ? 4 : 16))
		return -EBADMSG;
	memcpy(a.ip, rr->data, len);
	for (unsigned i = 0; i < out->n; i++)
		if (addr_eq_ip(&out->addr[i], &a))
			return 0;
	keep_addr(out, &a);
	return 0;
}

/* Where in a sorted list of `n` the next one has its place, with `is_before` of those there; when the list is full the worst goes: of too
 * many records some are used, not none. DNS_KEPT_MAX: nowhere. */
static unsigned place_for(struct dns_set *out, const void *one, bool (*is_before)(const struct dns_set *s, unsigned i, const void *one))
{
	unsigned i = out->n;

	while (i > 0 && !is_before(out, i - 1, one))
		i--;
	if (i < DNS_KEPT_MAX)
		out->n += out->n < DNS_KEPT_MAX;
	return i;
}

static bool srv_is_before(const struct dns_set *s, unsigned i, const void *one)
{
	const struct dns_srv *a = &s->srv[i], *b = one;
	int by_host;

	if (a->priority != b->priority)
		return a->priority < b->priority;
	if (a->weight != b->weight)
		return a->weight > b->weight;
	by_host = strcmp(a->host, b->host); /* and not as they came: servers rotate them */
	return by_host ? by_host < 0 : a->port <= b->port;
}

static int take_srv(const struct cursor *message, const struct rr *rr, struct dns_set *out)
{
	struct dns_srv srv;
	unsigned i;

	if (rr->data_end - rr->data < 7 || data_name(message, rr, 6, srv.host))
		return -EBADMSG;
	srv.priority = u16(rr->data);
	srv.weight = u16(rr->data + 2);
	srv.port = u16(rr->data + 4);
	if (!*srv.host)
		out->is_refused = true;
	if (!is_host(srv.host) || srv.port == 0 || (i = place_for(out, &srv, srv_is_before)) == DNS_KEPT_MAX)
		return 0;
	memmove(&out->srv[i + 1], &out->srv[i], (out->n - i - 1u) * sizeof(srv));
	out->srv[i] = srv;
	return 0;
}

static const struct {
	const char *name;
	uint8_t transport;
} services[] = {
	{ "SIP+D2U", T_UDP }, { "SIP+D2T", T_TCP }, { "SIPS+D2T", T_TLS }, { "SIP+D2W", T_WS }, { "SIPS+D2W", T_WSS },
};

static uint8_t service_transport(struct sv service)
{
	for (size_t i = 0; i < sizeof(services) / sizeof(*services); i++)
		if (sv_ieq(service, sv_from(services[i].name)))
			return services[i].transport;
	return T_NONE;
}

/* A length and as many bytes (RFC 1035 §3.3). */
static int take_string(struct cursor *c, struct sv *out)
{
	if (c->at >= c->end || c->end - c->at - 1 < *c->at)
		return -EBADMSG;
	*out = (struct sv){ (const char *)c->at + 1, *c->at };
	c->at += 1 + out->len;
	return 0;
}

static bool naptr_is_before(const struct dns_set *s, unsigned i, const void *one)
{
	const struct dns_naptr *a = &s->naptr[i], *b = one;

	return a->order != b->order ? a->order < b->order : a->preference <= b->preference;
}

/* RFC 3263 §4.1: of SIP's services, those that lead to SRV records (RFC 3403 §4.1: then there is no regular expression). */
static int take_naptr(const struct cursor *message, const struct rr *rr, struct dns_set *out)
{
	struct cursor c = { message->base, rr->data + 4, rr->data_end };
	struct sv flags, service, regexp;
	struct dns_naptr naptr;
	unsigned i;

	if (rr->data_end - rr->data < 8 || take_string(&c, &flags) || take_string(&c, &service) || take_string(&c, &regexp) ||
	    data_name(message, rr, (size_t)(c.at - rr->data), naptr.name))
		return -EBADMSG;
	naptr.order = u16(rr->data);
	naptr.preference = u16(rr->data + 2);
	naptr.transport = service_transport(service);
	if (naptr.transport == T_NONE || !sv_ieq(flags, SV("s")) || regexp.len || !is_host(naptr.name) ||
	    (i = place_for(out, &naptr, naptr_is_before)) == DNS_KEPT_MAX)
		return 0;
	memmove(&out->naptr[i + 1], &out->naptr[i], (out->n - i - 1u) * sizeof(naptr));
	out->naptr[i] = naptr;
	return 0;
}

static int take_data(const struct cursor *message, const struct rr *rr, struct dns_set *out)
{
	return rr->type == DNS_SRV ? take_srv(message, rr, out) : rr->type == DNS_NAPTR ? take_naptr(message, rr, out) : take_addr(rr, out);
}

/* Messages -------------------------------------------------------------------------------------------------------- */

static void note_ttl(struct dns_set *out, uint32_t ttl_s)
{
	out->ttl_s = ttl_s < out->ttl_s ? ttl_s : out->ttl_s;
}

/* The records at `name` among the `n` answers from `c` on. `next`: where its CNAME leads, or empty. */
static int take_answers(struct cursor c, unsigned n, const char *name, struct dns_set *out, char next[DNS_NAME_MAX + 1])
{
	struct rr rr;
	int err = 0;

	*next = '\0';
	for (unsigned i = 0; i < n && !err; i++) {
		if (take_record(&c, &rr))
			return -EBADMSG;
		if (rr.class != CLASS_IN || strcmp(rr.owner, name) != 0 || (rr.type != out->type && rr.type != DNS_CNAME))
			continue;
		note_ttl(out, rr.ttl_s);
		err = rr.type == DNS_CNAME ? data_name(&c, &rr, 0, next) : take_data(&c, &rr, out);
	}
	return err;
}

static int skip_records(struct cursor *c, unsigned n)
{
	struct rr rr;

	for (unsigned i = 0; i < n; i++)
		if (take_record(c, &rr))
			return -EBADMSG;
	return 0;
}

/* RFC 2308 §5: how long something is known not to be there. Damage behind the answers is no matter. */
static uint32_t absence_ttl(struct cursor c, unsigned n)
{
	struct rr rr;

	for (unsigned i = 0; i < n && take_record(&c, &rr) == 0; i++) {
		uint32_t minimum;

		if (rr.type != DNS_SOA || rr.class != CLASS_IN || rr.data_end - rr.data < SOA_NUMBERS)
			continue;
		minimum = u32(rr.data_end - 4);
		return minimum < rr.ttl_s ? minimum : rr.ttl_s;
	}
	return DNS_NO_TTL;
}

static unsigned bounded(unsigned n)
{
	return n < DNS_RECORDS_MAX ? n : DNS_RECORDS_MAX;
}

int dns_parse(struct dns_set *out, uint16_t type, const char *name, const unsigned char *bytes, size_t len)
{
	struct cursor c = { bytes, bytes + HEAD, bytes + len };
	char at[DNS_NAME_MAX + 1], next[DNS_NAME_MAX + 1];
	unsigned answers, authorities;
	struct cursor behind;

	out->ttl_s = DNS_NO_TTL;
	out->type = type;
	out->n = 0;
	out->is_refused = false;
	if (len < HEAD || len > UINT16_MAX || u16(bytes + 4) > 1)
		return -EBADMSG;
	answers = bounded(u16(bytes + 6));
	authorities = bounded(u16(bytes + 8));
	if (u16(bytes + 4)) {
		if (take_name(&c, at) || c.end - c.at < QUESTION_FIXED)
			return -EBADMSG;
		c.at += QUESTION_FIXED;
	}
	behind = c;
	if (skip_records(&behind, answers))
		return -EBADMSG;
	snprintf(at, sizeof(at), "%s", name);
	for (unsigned i = 0; i < DNS_CHAIN_MAX && out->n == 0 && *at; i++) {
		if (take_answers(c, answers, at, out, next))
			return -EBADMSG;
		memcpy(at, next, sizeof(at));
	}
	out->is_refused = out->is_refused && out->n == 0;
	if (out->n == 0 && !out->is_refused)
		out->ttl_s = absence_ttl(behind, authorities);
	return 0;
}

bool dns_is_below(const char *what, const char *name)
{
	size_t len = strlen(name), all = strlen(what);

	return all >= len && strcmp(what + all - len, name) == 0 && (all == len || what[all - len - 1] == '.');
}

size_t dns_set_size(const struct dns_set *s)
{
	size_t one = s->type == DNS_SRV ? sizeof(*s->srv) : s->type == DNS_NAPTR ? sizeof(*s->naptr) : sizeof(*s->addr);

	return offsetof(struct dns_set, addr) + s->n * one;
}

const char *dns_type_name(uint16_t type)
{
	switch (type) {
	case DNS_HOSTS: return "hosts";
	case DNS_A: return "A";
	case DNS_AAAA: return "AAAA";
	case DNS_SRV: return "SRV";
	default: return "NAPTR";
	}
}
