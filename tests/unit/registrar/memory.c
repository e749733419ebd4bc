/* What registered contacts take: everything that the registrar holds, tables included, measured in what the process maps. The bench has a
 * million of them in the program (docs/bench.md). */
#include "registrar/register.h"
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { CONTACTS = 20000, IS_MEASURED = 0 }; /* what the sanitizer keeps would be measured, too */
#else
enum { CONTACTS = 250000, IS_MEASURED = 1 };
#endif
enum { BYTES_MAX = 600, EXTRA = 64, LIFE_MS = 3600000 };

struct fixture {
	struct wheel wheel;
	struct registrar *r;
	struct conf_registrar domain;
	struct hash_key key;
	char text[4096];
	size_t len;
	struct view v;
	struct path path;
	int fill;                  /* of a parameter of the Contact */
};

static size_t resident(void)
{
	long pages = 0;
	FILE *f = fopen("/proc/self/statm", "r");

	assert_non_null(f);
	assert_int_equal(fscanf(f, "%*d %ld", &pages), 1);
	fclose(f);
	return (size_t)pages * (size_t)sysconf(_SC_PAGESIZE);
}

/* As a softphone writes it. */
static void write_register(struct fixture *f, unsigned user, unsigned cseq)
{
	struct view_fault fault;

	f->len = (size_t)snprintf(f->text, sizeof(f->text) - BUF_PAD,
	                          "REGISTER sip:example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bK%08x%u;rport\r\n"
	                          "Max-Forwards: 70\r\nFrom: <sip:user%07u@example.com>;tag=%08x\r\nTo: <sip:user%07u@example.com>\r\n"
	                          "Call-ID: %08x-7dec-11d0-a765-00a0c91e6bf6\r\nCSeq: %u REGISTER\r\nUser-Agent: Phone/1.0\r\n"
	                          "Contact: <sip:user%07u@10.11.%u.%u:5060;transport=udp>;"
	                          "+sip.instance=\"<urn:uuid:%08x-7dec-11d0-a765-00a0c91e6bf6>\";x=0%0*u\r\nExpires: 3600\r\nContent-Length: 0\r\n\r\n",
	                          user, cseq, user, user, user, user, cseq, user, user >> 8 & 255, user & 255, user, f->fill, 0);
	memset(f->text + f->len, 0, BUF_PAD);
	assert_int_equal(view_scan(&f->v, f->text, f->len, false, &fault), 0);
	f->path = (struct path){ .remote = { .ip = { 192, 0, (uint8_t)(user >> 16), (uint8_t)(user >> 8) }, .port = (uint16_t)(1024 + (user & 255)),
		                             .family = 4 }, .transport = T_UDP };
}

static enum register_result tries(struct fixture *f, unsigned user, unsigned cseq)
{
	struct register_request q = { .v = &f->v, .from = &f->path, .domain = &f->domain };
	struct register_done done;
	struct aor aor;

	write_register(f, user, cseq);
	assert_int_equal(aor_of_value(&aor, view_value(&f->v, HDR_TO)), 0);
	q.aor = &aor;
	q.aor_key = aor_key(&f->key, &aor);
	return registrar_register(f->r, &q, &done);
}

static void registers(struct fixture *f, unsigned user, unsigned cseq)
{
	assert_int_equal(tries(f, user, cseq), REGISTER_OK);
}

static void count_gone(void *ctx, struct binding *b, enum gone why)
{
	assert_int_equal(why, GONE_CLOSING);
	assert_true(b->contact_len > 0);
	++*(unsigned *)ctx;
}

/* A node that ends has a second or two, however many are registered: looking for each of them from the beginning takes minutes. */
static void the_end_takes_as_long_as_there_are_contacts(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct registrar_params p;
	unsigned gone = 0;
	clock_t begin;

	(void)state;
	assert_non_null(f);
	f->key = (struct hash_key){ 1, 2 };
	f->domain = (struct conf_registrar){ .domain = SV("example.com"), .expires = { 60000, LIFE_MS, 10 }, .max_contacts = 10 };
	wheel_init(&f->wheel, 1000000);
	p = (struct registrar_params){ .wheel = &f->wheel, .key = &f->key, .ctx = &gone, .on_gone = count_gone };
	assert_int_equal(registrar_new(&f->r, &p), 0);
	for (unsigned i = 0; i < CONTACTS; i++)
		registers(f, i, 1);
	begin = clock();
	registrar_free(f->r);
	assert_in_range((clock() - begin) * 1000 / CLOCKS_PER_SEC, 0, 2000);
	assert_int_equal(gone, CONTACTS);
	assert_int_equal(wheel_advance(&f->wheel, f->wheel.now_ms + 2 * LIFE_MS, SIZE_MAX), 0); /* no timer is left */
	free(f);
}

/* Long contacts, which cost who sends them nothing: there is room for fewer of them, and for as many as before when they have gone. */
static void long_contacts_are_fewer(void **state)
{
	enum { MOST = 100, PARAMS = 900 };
	struct fixture *f = calloc(1, sizeof(*f));
	struct registrar_params p;

	(void)state;
	assert_non_null(f);
	f->key = (struct hash_key){ 1, 2 };
	f->domain = (struct conf_registrar){ .domain = SV("example.com"), .expires = { 60000, LIFE_MS, 10 }, .max_contacts = 10 };
	wheel_init(&f->wheel, 1000000);
	p = (struct registrar_params){ .wheel = &f->wheel, .key = &f->key, .max_bindings = MOST };
	assert_int_equal(registrar_new(&f->r, &p), 0);
	for (unsigned round = 0; round < 2; round++) {
		f->fill = PARAMS;
		for (unsigned i = 0; i < MOST; i++)
			tries(f, i, round + 1);
		assert_in_range(registrar_bindings(f->r), MOST / 3, MOST / 2);
		assert_int_equal(counter_get(registrar_counters(f->r), BINDINGS_REFUSED) / (round + 1), MOST - registrar_bindings(f->r));
		wheel_advance(&f->wheel, f->wheel.now_ms + LIFE_MS, SIZE_MAX);
		f->fill = 0;
		for (unsigned i = 0; i < MOST; i++)
			registers(f, i, round + 1);
		assert_int_equal(registrar_bindings(f->r), MOST);
		wheel_advance(&f->wheel, f->wheel.now_ms + LIFE_MS, SIZE_MAX);
		assert_int_equal(registrar_bindings(f->r), 0);
	}
	registrar_free(f->r);
	free(f);
}

static void a_contact_takes_600_bytes_at_most(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct registrar_params p;
	size_t before, after, refreshed;

	(void)state;
	assert_non_null(f);
	f->key = (struct hash_key){ 1, 2 };
	f->domain = (struct conf_registrar){ .domain = SV("example.com"), .expires = { 60000, LIFE_MS, 10 }, .max_contacts = 10 };
	wheel_init(&f->wheel, 1000000);
	p = (struct registrar_params){ .wheel = &f->wheel, .key = &f->key, .extra = EXTRA };
	assert_int_equal(registrar_new(&f->r, &p), 0);
	malloc_trim(0);
	before = resident();
	for (unsigned i = 0; i < CONTACTS; i++)
		registers(f, i, 1);
	after = resident();
	printf("%u contacts of as many AORs, %u bytes of each for keep-alives: %zu bytes each\n", CONTACTS, EXTRA, (after - before) / CONTACTS);
	assert_int_equal(registrar_bindings(f->r), CONTACTS);
	assert_true(!IS_MEASURED || (after - before) / CONTACTS <= BYTES_MAX);
	for (unsigned i = 0; i < CONTACTS; i++)
		registers(f, i, 2);
	refreshed = resident();
	assert_true(!IS_MEASURED || refreshed <= after + after / 50);
	wheel_advance(&f->wheel, f->wheel.now_ms + LIFE_MS, SIZE_MAX);
	assert_int_equal(registrar_bindings(f->r), 0);
	registrar_trim(f->r);
	assert_true(!IS_MEASURED || resident() - before < (after - before) / 10);
	registrar_free(f->r);
	free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(long_contacts_are_fewer),
		cmocka_unit_test(the_end_takes_as_long_as_there_are_contacts),
		cmocka_unit_test(a_contact_takes_600_bytes_at_most),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
