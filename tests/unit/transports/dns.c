/* Messages of name servers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "transports/dns.h"
#include "transports/net.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* A message under construction: the question's name is at 12, so that 0xc0 0x0c points to it. */
struct message {
	unsigned char p[8192];
	size_t len;
	size_t data;             /* where the present record's length is */
};

static void put(struct message *m, const void *bytes, size_t len)
{
	assert_true(len <= sizeof(m->p) - m->len);
	memcpy(m->p + m->len, bytes, len);
	m->len += len;
}

static void put16(struct message *m, unsigned v)
{
	put(m, (unsigned char[]){ (unsigned char)(v >> 8), (unsigned char)v }, 2);
}

static void put_name(struct message *m, const char *name)
{
	while (*name) {
		size_t len = strcspn(name, ".");

		put(m, (unsigned char[]){ (unsigned char)len }, 1);
		put(m, name, len);
		name += len + (name[len] == '.');
	}
	put(m, "", 1);
}

static void begin(struct message *m, const char *name, unsigned type)
{
	*m = (struct message){ .len = 0 };
	put(m, "\0\1\x81\x80\0\1\0\0\0\0\0\0", 12);
	put_name(m, name);
	put16(m, type);
	put16(m, 1);
}

/* `where`: 6 an answer, 8 an authority. NULL name: the question's. */
static void record(struct message *m, unsigned where, const char *name, unsigned type, uint32_t ttl)
{
	m->p[where + 1]++;
	if (name)
		put_name(m, name);
	else
		put16(m, 0xc00c);
	put16(m, type);
	put16(m, 1);
	put16(m, ttl >> 16);
	put16(m, ttl & 0xffff);
	m->data = m->len;
	put16(m, 0);
}

static void end(struct message *m)
{
	size_t len = m->len - m->data - 2;

	m->p[m->data] = (unsigned char)(len >> 8);
	m->p[m->data + 1] = (unsigned char)len;
}

static void srv(struct message *m, unsigned priority, unsigned weight, unsigned port, const char *target)
{
	record(m, 6, NULL, DNS_SRV, 256);
	put16(m, priority);
	put16(m, weight);
	put16(m, port);
	put_name(m, target);
	end(m);
}

static void text(struct message *m, const char *s)
{
	put(m, (unsigned char[]){ (unsigned char)strlen(s) }, 1);
	put(m, s, strlen(s));
}

static void naptr(struct message *m, unsigned order, unsigned preference, const char *flags, const char *service, const char *regexp,
                  const char *replacement)
{
	record(m, 6, NULL, DNS_NAPTR, 300);
	put16(m, order);
	put16(m, preference);
	text(m, flags);
	text(m, service);
	text(m, regexp);
	put_name(m, replacement);
	end(m);
}

static void address(struct message *m, const char *name, uint32_t ttl, unsigned char last)
{
	record(m, 6, name, DNS_A, ttl);
	put(m, (unsigned char[]){ 192, 0, 2, last }, 4);
	end(m);
}

static void alias(struct message *m, const char *name, uint32_t ttl, const char *to)
{
	record(m, 6, name, DNS_CNAME, ttl);
	put_name(m, to);
	end(m);
}

static void soa(struct message *m, uint32_t ttl, uint32_t minimum)
{
	record(m, 8, "example", DNS_SOA, ttl);
	put_name(m, "ns.example");
	put_name(m, "root.example");
	for (int i = 0; i < 4; i++)
		put(m, "\0\0\0\1", 4);
	put16(m, minimum >> 16);
	put16(m, minimum & 0xffff);
	end(m);
}

/* Exactly the bytes there are, so that a byte too many is seen. */
static int parse_bytes(struct dns_set *s, unsigned type, const char *name, const unsigned char *p, size_t len)
{
	unsigned char *exact = malloc(len ? len : 1);
	int err;

	memcpy(exact, p, len);
	err = dns_parse(s, (uint16_t)type, name, exact, len);
	free(exact);
	return err;
}

static int parse(struct dns_set *s, unsigned type, const char *name, const struct message *m)
{
	return parse_bytes(s, type, name, m->p, m->len);
}

/* Names ---------------------------------------------------------------------------------------------------------- */

static void names_become_lower_case(void **state)
{
	char out[DNS_NAME_MAX + 1], label[80];

	(void)state;
	assert_int_equal(dns_name(out, SV("Sip.EXAMPLE.com.")), 0);
	assert_string_equal(out, "sip.example.com");
	assert_int_equal(dns_name(out, SV("")), -EBADMSG);
	assert_int_equal(dns_name(out, SV(".")), -EBADMSG);
	assert_int_equal(dns_name(out, SV("a..b")), -EBADMSG);
	assert_int_equal(dns_name(out, SV("a b")), -EBADMSG);
	assert_int_equal(dns_name(out, (struct sv){ "a\0b", 3 }), -EBADMSG);
	memset(label, 'a', sizeof(label));
	assert_int_equal(dns_name(out, (struct sv){ label, 63 }), 0);
	assert_int_equal(dns_name(out, (struct sv){ label, 64 }), -EBADMSG);
}

/* A name may point to what was before it, not to itself, behind it, or around. */
static void pointers_lead_backwards(void **state)
{
	struct message m;
	struct dns_set s;
	size_t at, to;

	(void)state;
	begin(&m, "a.example", DNS_SRV);
	srv(&m, 1, 2, 5060, "");
	m.len--;
	put16(&m, 0xc00e); /* "example" of the question */
	end(&m);
	assert_int_equal(parse(&s, DNS_SRV, "a.example", &m), 0);
	assert_string_equal(s.srv[0].host, "example");
	at = m.len - 2;
	for (to = at; to < at + 8; to++) {
		m.p[at] = (unsigned char)(0xc0 | to >> 8);
		m.p[at + 1] = (unsigned char)to;
		assert_int_equal(parse(&s, DNS_SRV, "a.example", &m), -EBADMSG);
	}
	m.p[at] = 0x80; /* neither a length nor a pointer */
	assert_int_equal(parse(&s, DNS_SRV, "a.example", &m), -EBADMSG);
	begin(&m, "a.example", DNS_A);
	at = m.len;
	address(&m, NULL, 60, 7);
	to = m.len;
	address(&m, "a.example", 60, 8);
	assert_int_equal(parse(&s, DNS_A, "a.example", &m), 0);
	assert_int_equal(s.n, 2);
	m.p[at + 1] = (unsigned char)to; /* to a name that ends, and yet behind it */
	assert_int_equal(parse(&s, DNS_A, "a.example", &m), -EBADMSG);
}

/* A record of text has a name behind a row of pointers, each to the one before it; the record after it is owned by the last of them. */
static void rows_of_pointers_are_short(void **state)
{
	struct message m;
	struct dns_set s;

	(void)state;
	for (unsigned n = DNS_JUMPS_MAX - 2; n <= DNS_JUMPS_MAX + 1; n++) {
		begin(&m, "example", DNS_A);
		record(&m, 6, NULL, 16, 60);
		put16(&m, 0xc00c);
		for (unsigned i = 1; i < n; i++)
			put16(&m, 0xc000 | (unsigned)(m.len - 2));
		end(&m);
		m.p[7]++;
		put16(&m, 0xc000 | (unsigned)(m.len - 2));
		put(&m, "\0\1\0\1\0\0\0\x3c\0\4\xc0\0\2\7", 14);
		assert_int_equal(parse(&s, DNS_A, "example", &m), n < DNS_JUMPS_MAX ? 0 : -EBADMSG);
		assert_int_equal(s.n, n < DNS_JUMPS_MAX ? 1 : 0);
	}
}

static void what_no_host_is_called_is_no_target(void **state)
{
	struct message m;
	struct dns_set s;

	(void)state;
	begin(&m, "example", DNS_SRV);
	srv(&m, 1, 2, 5060, "a b.example");
	srv(&m, 2, 2, 5060, "ok.example");
	assert_int_equal(parse(&s, DNS_SRV, "example", &m), 0);
	assert_int_equal(s.n, 1);
	assert_string_equal(s.srv[0].host, "ok.example");
}

/* Records -------------------------------------------------------------------------------------------------------- */

static void services_come_in_order_of_preference(void **state)
{
	struct message m;
	struct dns_set s;

	(void)state;
	begin(&m, "example", DNS_SRV);
	srv(&m, 20, 0, 1, "a");
	srv(&m, 10, 1, 2, "b");
	srv(&m, 10, 5, 3, "C");
	srv(&m, 1, 5, 0, "portless");
	assert_int_equal(parse(&s, DNS_SRV, "example", &m), 0);
	assert_int_equal(s.n, 3);
	assert_string_equal(s.srv[0].host, "c");
	assert_int_equal(s.srv[0].port, 3);
	assert_string_equal(s.srv[1].host, "b");
	assert_string_equal(s.srv[2].host, "a");
	assert_int_equal(s.srv[2].priority, 20);
	assert_int_equal(s.ttl_s, 256);
}

/* Of hundreds of records the first DNS_RECORDS_MAX are looked at. */
static void hundreds_of_records_are_not_all_read(void **state)
{
	struct message m;
	struct dns_set s;

	(void)state;
	begin(&m, "example", DNS_SRV);
	for (unsigned i = 1; i <= 300; i++)
		srv(&m, i == DNS_RECORDS_MAX || i == DNS_RECORDS_MAX + 1 ? 1 : 9, 0, (uint16_t)i, "a");
	m.p[6] = 300 >> 8;
	m.p[7] = 300 & 0xff;
	assert_int_equal(parse(&s, DNS_SRV, "example", &m), 0);
	assert_int_equal(s.n, DNS_KEPT_MAX);
	assert_int_equal(s.srv[0].port, DNS_RECORDS_MAX);
	assert_int_equal(s.srv[1].priority, 9);
}

/* The longest name there is, and one of a byte more, put together by a pointer. */
static void names_have_a_length(void **state)
{
	struct message m;
	struct dns_set s;
	char name[DNS_NAME_MAX + 8];

	(void)state;
	memset(name, 'n', sizeof(name));
	for (size_t i = 50; i < sizeof(name); i += 51)
		name[i] = '.';
	for (size_t len = DNS_NAME_MAX - 2; len <= DNS_NAME_MAX - 1; len++) {
		name[len] = '\0';
		begin(&m, name, DNS_SRV);
		srv(&m, 1, 2, 5060, "x");
		m.len--;
		put16(&m, 0xc00c);
		end(&m);
		assert_int_equal(parse(&s, DNS_SRV, name, &m), len == DNS_NAME_MAX - 2 ? 0 : -EBADMSG);
		assert_int_equal(s.n ? strlen(s.srv[0].host) : DNS_NAME_MAX, DNS_NAME_MAX);
		name[len] = 'n';
	}
}

/* kamailio/kamailio#2651: with too many records the best are used, not none. */
static void of_too_many_the_best_stay(void **state)
{
	struct message m;
	struct dns_set s;

	(void)state;
	begin(&m, "example", DNS_SRV);
	for (unsigned i = 0; i < 20; i++)
		srv(&m, i % 10, i, 5060, "a");
	assert_int_equal(parse(&s, DNS_SRV, "example", &m), 0);
	assert_int_equal(s.n, DNS_KEPT_MAX);
	for (unsigned i = 0; i < s.n; i++) {
		assert_int_equal(s.srv[i].priority, i / 2);
		assert_int_equal(s.srv[i].weight, i % 2 ? i / 2 : i / 2 + 10);
	}
	begin(&m, "example", DNS_NAPTR);
	for (unsigned i = 0; i < 20; i++)
		naptr(&m, 20 - i, 0, "s", "SIP+D2U", "", "x");
	assert_int_equal(parse(&s, DNS_NAPTR, "example", &m), 0);
	assert_int_equal(s.n, DNS_KEPT_MAX);
	assert_int_equal(s.naptr[0].order, 1);
	assert_int_equal(s.naptr[7].order, 8);
	begin(&m, "example", DNS_A);
	for (unsigned char i = 0; i < 20; i++)
		address(&m, NULL, 60, i / 2);
	assert_int_equal(parse(&s, DNS_A, "example", &m), 0);
	assert_int_equal(s.n, DNS_KEPT_MAX);
	for (unsigned char i = 0; i < s.n; i++)
		assert_int_equal(s.addr[i].ip[3], i); /* each once */
}

/* Servers rotate what they have. What is kept of too much is the same each time: those of a pool that has each address probed do not change
 * with every answer. */
static void of_too_many_the_same_stay(void **state)
{
	struct message m;
	struct dns_set s;
	unsigned seen[20];

	(void)state;
	for (unsigned turn = 0; turn < 20; turn++) {
		memset(seen, 0, sizeof seen);
		begin(&m, "example", DNS_A);
		for (unsigned i = 0; i < 20; i++)
			address(&m, NULL, 60, (unsigned char)((turn + i * 7) % 20));
		assert_int_equal(parse(&s, DNS_A, "example", &m), 0);
		assert_int_equal(s.n, DNS_KEPT_MAX);
		for (unsigned i = 0; i < s.n; i++)
			seen[s.addr[i].ip[3]]++;
		for (unsigned i = 0; i < DNS_KEPT_MAX; i++)
			assert_int_equal(seen[i], 1);
		begin(&m, "example", DNS_SRV);
		for (unsigned i = 0; i < 20; i++)
			srv(&m, 1, 5, (uint16_t)(5060 + (turn + i * 7) % 20 / 4), (const char *[]){ "a", "b", "c", "d" }[(turn + i * 7) % 4]);
		assert_int_equal(parse(&s, DNS_SRV, "example", &m), 0);
		for (unsigned i = 0; i < DNS_KEPT_MAX; i++) {
			assert_string_equal(s.srv[i].host, i < 5 ? "a" : "b");
			assert_int_equal(s.srv[i].port, 5060 + i % 5);
		}
	}
}

/* RFC 2782: "." alone means that there is no such service; beside others it is nonsense. */
static void the_root_as_a_target(void **state)
{
	struct message m;
	struct dns_set s;

	(void)state;
	begin(&m, "example", DNS_SRV);
	srv(&m, 1, 0, 5060, "");
	assert_int_equal(parse(&s, DNS_SRV, "example", &m), 0);
	assert_int_equal(s.n, 0);
	assert_true(s.is_refused);
	assert_int_equal(s.ttl_s, 256);
	srv(&m, 1, 0, 5060, "a");
	assert_int_equal(parse(&s, DNS_SRV, "example", &m), 0);
	assert_int_equal(s.n, 1);
	assert_false(s.is_refused);
}

/* RFC 3263 §4.1, RFC 7118 §8. */
static void ways_to_speak_sip(void **state)
{
	static const struct { const char *service; uint8_t transport; } of[] = {
		{ "SIP+D2U", T_UDP }, { "sip+d2t", T_TCP }, { "SIPS+D2T", T_TLS }, { "SIP+D2W", T_WS }, { "SIPS+D2W", T_WSS },
	};
	struct message m;
	struct dns_set s;

	(void)state;
	begin(&m, "example", DNS_NAPTR);
	for (unsigned i = 0; i < 5; i++)
		naptr(&m, 10, 50 - i, i % 2 ? "S" : "s", of[i].service, "", "_sip.example");
	assert_int_equal(parse(&s, DNS_NAPTR, "example", &m), 0);
	assert_int_equal(s.n, 5);
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(s.naptr[i].transport, of[4 - i].transport); /* the lowest preference first */
	naptr(&m, 9, 99, "s", "SIP+D2U", "", "first.example");
	assert_int_equal(parse(&s, DNS_NAPTR, "example", &m), 0);
	assert_string_equal(s.naptr[0].name, "first.example"); /* order before preference */
}

static void other_services_are_none_of_ours(void **state)
{
	struct message m;
	struct dns_set s;

	(void)state;
	begin(&m, "example", DNS_NAPTR);
	naptr(&m, 1, 1, "s", "SIP+D2S", "", "_sip._sctp.example");
	naptr(&m, 1, 1, "s", "SIPS+D2U", "", "_sips._udp.example");
	naptr(&m, 1, 1, "s", "E2U+sip", "", "e.example");
	naptr(&m, 1, 1, "u", "SIP+D2U", "!^.*$!sip:a@b!", "");
	naptr(&m, 1, 1, "s", "SIP+D2U", "!^.*$!x!", "x.example");
	naptr(&m, 1, 1, "a", "SIP+D2U", "", "x.example");
	naptr(&m, 1, 1, "", "SIP+D2U", "", "x.example");
	naptr(&m, 1, 1, "s", "SIP+D2U", "", "");
	naptr(&m, 1, 1, "s", "", "", "x.example");
	assert_int_equal(parse(&s, DNS_NAPTR, "example", &m), 0);
	assert_int_equal(s.n, 0);
}

static void addresses_have_their_length(void **state)
{
	struct message m;
	struct dns_set s;

	(void)state;
	begin(&m, "example", DNS_AAAA);
	record(&m, 6, NULL, DNS_AAAA, 60);
	put(&m, "\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\5", 16);
	end(&m);
	assert_int_equal(parse(&s, DNS_AAAA, "example", &m), 0);
	assert_int_equal(s.addr[0].family, 6);
	assert_int_equal(s.addr[0].ip[15], 5);
	begin(&m, "example", DNS_A);
	record(&m, 6, NULL, DNS_A, 60);
	put(&m, "\300\0\2\1\1", 5);
	end(&m);
	assert_int_equal(parse(&s, DNS_A, "example", &m), -EBADMSG);
}

/* Chains and absence --------------------------------------------------------------------------------------------- */

static void aliases_lead_to_the_records(void **state)
{
	struct message m;
	struct dns_set s;

	(void)state;
	begin(&m, "www.example", DNS_A);
	address(&m, "other.example", 1, 66); /* of nobody we asked for */
	alias(&m, "b.example", 30, "host.example");
	address(&m, "host.example", 60, 7);
	alias(&m, NULL, 90, "b.example");
	assert_int_equal(parse(&s, DNS_A, "www.example", &m), 0);
	assert_int_equal(s.n, 1);
	assert_int_equal(s.addr[0].ip[3], 7);
	assert_int_equal(s.ttl_s, 30); /* the shortest of the chain */
}

static void chains_have_an_end(void **state)
{
	struct message m;
	struct dns_set s;
	char from[32], to[32];

	(void)state;
	begin(&m, "a.example", DNS_A);
	alias(&m, NULL, 30, "b.example");
	alias(&m, "b.example", 30, "a.example");
	assert_int_equal(parse(&s, DNS_A, "a.example", &m), 0);
	assert_int_equal(s.n, 0);
	begin(&m, "n0.example", DNS_A);
	for (int i = 0; i < DNS_CHAIN_MAX; i++) {
		snprintf(from, sizeof(from), "n%d.example", i);
		snprintf(to, sizeof(to), "n%d.example", i + 1);
		alias(&m, from, 30, to);
	}
	address(&m, to, 60, 7);
	assert_int_equal(parse(&s, DNS_A, "n0.example", &m), 0);
	assert_int_equal(s.n, 0); /* one too long */
	assert_int_equal(parse(&s, DNS_A, "n1.example", &m), 0);
	assert_int_equal(s.n, 1);
}

/* RFC 2308 §5: the smaller of the SOA's own time and its last number. */
static void absence_has_a_time(void **state)
{
	struct message m;
	struct dns_set s;

	(void)state;
	begin(&m, "example", DNS_A);
	assert_int_equal(parse(&s, DNS_A, "example", &m), 0);
	assert_int_equal(s.ttl_s, DNS_NO_TTL);
	soa(&m, 900, 120);
	assert_int_equal(parse(&s, DNS_A, "example", &m), 0);
	assert_int_equal(s.n, 0);
	assert_int_equal(s.ttl_s, 120);
	begin(&m, "example", DNS_A);
	soa(&m, 60, 120);
	assert_int_equal(parse(&s, DNS_A, "example", &m), 0);
	assert_int_equal(s.ttl_s, 60);
	begin(&m, "example", DNS_A);
	address(&m, NULL, 0x80000001, 1); /* RFC 2181 §8 */
	assert_int_equal(parse(&s, DNS_A, "example", &m), 0);
	assert_int_equal(s.ttl_s, 0);
}

/* Damage --------------------------------------------------------------------------------------------------------- */

static void cut_and_twist(unsigned type, const char *name, const struct message *m)
{
	unsigned char p[sizeof(m->p)];
	struct dns_set s;

	for (size_t cut = 0; cut < m->len; cut++)
		assert_int_equal(parse_bytes(&s, type, name, m->p, cut), -EBADMSG);
	for (size_t bit = 0; bit < m->len * 8; bit++) {
		memcpy(p, m->p, m->len);
		p[bit / 8] ^= (unsigned char)(1 << bit % 8);
		if (parse_bytes(&s, type, name, p, m->len) == 0)
			assert_true(s.n <= 3);
	}
}

/* Every length and every flipped bit: never beyond the bytes, never without an end. */
static void cut_and_twisted_messages_are_harmless(void **state)
{
	struct message m;

	(void)state;
	begin(&m, "example", DNS_SRV);
	srv(&m, 20, 0, 1, "a");
	srv(&m, 10, 1, 2, "b");
	srv(&m, 10, 5, 3, "c");
	cut_and_twist(DNS_SRV, "example", &m);
	begin(&m, "example", DNS_NAPTR);
	naptr(&m, 1, 1, "s", "SIP+D2U", "", "_sip._udp.example");
	naptr(&m, 1, 2, "s", "SIPS+D2T", "", "_sips._tcp.example");
	cut_and_twist(DNS_NAPTR, "example", &m);
	begin(&m, "www.example", DNS_A);
	alias(&m, NULL, 90, "b.example");
	address(&m, "b.example", 60, 7);
	cut_and_twist(DNS_A, "www.example", &m);
}

static void lengths_that_lie_are_refused(void **state)
{
	struct message m;
	struct dns_set s;

	(void)state;
	begin(&m, "example", DNS_SRV);
	srv(&m, 1, 0, 5060, "a");
	m.p[m.data + 1]++;
	assert_int_equal(parse(&s, DNS_SRV, "example", &m), -EBADMSG);
	m.p[m.data + 1] -= 2;
	assert_int_equal(parse(&s, DNS_SRV, "example", &m), -EBADMSG);
	begin(&m, "example", DNS_NAPTR);
	naptr(&m, 1, 1, "s", "SIP+D2U", "", "a");
	m.p[m.data + 2 + 4 + 2] += 5; /* the service's */
	assert_int_equal(parse(&s, DNS_NAPTR, "example", &m), -EBADMSG);
	begin(&m, "example", DNS_A);
	m.p[5] = 2; /* questions */
	assert_int_equal(parse(&s, DNS_A, "example", &m), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_become_lower_case),
		cmocka_unit_test(pointers_lead_backwards),
		cmocka_unit_test(rows_of_pointers_are_short),
		cmocka_unit_test(what_no_host_is_called_is_no_target),
		cmocka_unit_test(services_come_in_order_of_preference),
		cmocka_unit_test(of_too_many_the_best_stay),
		cmocka_unit_test(of_too_many_the_same_stay),
		cmocka_unit_test(hundreds_of_records_are_not_all_read),
		cmocka_unit_test(names_have_a_length),
		cmocka_unit_test(the_root_as_a_target),
		cmocka_unit_test(ways_to_speak_sip),
		cmocka_unit_test(other_services_are_none_of_ours),
		cmocka_unit_test(addresses_have_their_length),
		cmocka_unit_test(aliases_lead_to_the_records),
		cmocka_unit_test(chains_have_an_end),
		cmocka_unit_test(absence_has_a_time),
		cmocka_unit_test(cut_and_twisted_messages_are_harmless),
		cmocka_unit_test(lengths_that_lie_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
