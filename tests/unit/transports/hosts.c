/* /etc/hosts, from a file of the test's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "transports/hosts.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct rig {
	char path[64];
	struct hosts *hosts;
	uint64_t now_ms;
};

static void write_file(const struct rig *r, const char *bytes, size_t len)
{
	char fresh[80];
	FILE *f;

	snprintf(fresh, sizeof(fresh), "%s.new", r->path);
	f = fopen(fresh, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(bytes, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(rename(fresh, r->path), 0);
}

static int setup(void **state)
{
	struct rig *r = calloc(1, sizeof(*r));

	snprintf(r->path, sizeof(r->path), "hosts-%d", (int)getpid());
	r->now_ms = 1000;
	assert_int_equal(hosts_new(&r->hosts, r->path, NULL), 0);
	*state = r;
	return 0;
}

static int teardown(void **state)
{
	struct rig *r = *state;

	hosts_free(r->hosts);
	unlink(r->path);
	free(r);
	return 0;
}

static const struct host *find(const struct rig *r, const char *name)
{
	return hosts_find(r->hosts, name, r->now_ms);
}

static void expect(const struct rig *r, const char *name, unsigned i, const char *ip)
{
	const struct host *h = find(r, name);
	char text[ADDR_TEXT];

	assert_non_null(h);
	assert_string_equal(h->name, name);
	assert_true(i < h->n);
	assert_string_equal(addr_print_ip(&h->addr[i], text), ip);
}

static void lines_are_read(void **state)
{
	static const char text[] = "# of the operator\n"
				   "127.0.0.1\tlocalhost\n"
				   "::1 localhost ip6-localhost # too\n"
				   "   192.0.2.1   Media.Example.   m1\r\n"
				   "192.0.2.2 m1\n"
				   "192.0.2.1 m1\n"
				   "2001:db8::1 m1\n"
				   "192.0.2.3 m1\n"
				   "fe80::1%lo0 scoped\n"
				   "192.0.2.4:5060 port\n"
				   "nonsense\n"
				   "192.0.2.5\n"
				   "192.0.2.6 b\xc3\xa4r a..b good\n"
				   "192.0.2.7 last";
	struct rig *r = *state;

	write_file(r, text, sizeof(text) - 1);
	expect(r, "localhost", 0, "127.0.0.1");
	expect(r, "localhost", 1, "::1");
	expect(r, "ip6-localhost", 0, "::1");
	expect(r, "media.example", 0, "192.0.2.1");
	assert_int_equal(find(r, "m1")->n, 4); /* each once, IPv4 first */
	expect(r, "m1", 1, "192.0.2.2");
	expect(r, "m1", 2, "192.0.2.3");
	expect(r, "m1", 3, "2001:db8::1");
	expect(r, "good", 0, "192.0.2.6");
	expect(r, "last", 0, "192.0.2.7");
	assert_null(find(r, "too"));
	assert_null(find(r, "scoped"));
	assert_null(find(r, "port"));
	assert_null(find(r, "a..b"));
	assert_null(find(r, "m"));
}

/* Only when its time has come, and only when it has changed. */
static void a_changed_file_is_read_anew(void **state)
{
	struct rig *r = *state;

	assert_null(find(r, "a")); /* there is no file */
	write_file(r, "192.0.2.1 a\n", 12);
	r->now_ms += HOSTS_LOOK_MS - 1;
	assert_null(find(r, "a"));
	r->now_ms++;
	expect(r, "a", 0, "192.0.2.1");
	write_file(r, "192.0.2.2 b\n", 12);
	expect(r, "a", 0, "192.0.2.1");
	r->now_ms += HOSTS_LOOK_MS;
	expect(r, "b", 0, "192.0.2.2");
	assert_null(find(r, "a"));
	unlink(r->path); /* half-way through somebody's edit */
	r->now_ms += HOSTS_LOOK_MS;
	expect(r, "b", 0, "192.0.2.2");
}

static void add_name(void *ctx, const struct host *h)
{
	strcat(ctx, h->name);
}

static void only_what_was_used_is_listed(void **state)
{
	struct rig *r = *state;
	char names[64] = "";

	write_file(r, "192.0.2.1 a b c\n", 16);
	expect(r, "b", 0, "192.0.2.1");
	hosts_each_used(r->hosts, add_name, names);
	assert_string_equal(names, "b");
}

/* Of a list of a hundred thousand names the first are known, and of many addresses of one. */
static void it_is_bounded(void **state)
{
	struct rig *r = *state;
	char *text = malloc(4u << 20), name[32];
	size_t len = 0;

	for (unsigned i = 0; i < 20; i++)
		len += (size_t)sprintf(text + len, "192.0.2.%u many\n", i);
	for (unsigned i = 0; i < 100000; i++)
		len += (size_t)sprintf(text + len, "0.0.0.0 n%u\n", i);
	write_file(r, text, len);
	assert_int_equal(find(r, "many")->n, DNS_KEPT_MAX);
	snprintf(name, sizeof(name), "n%u", HOSTS_NAMES_MAX - 2);
	assert_non_null(find(r, name));
	snprintf(name, sizeof(name), "n%u", HOSTS_NAMES_MAX - 1);
	assert_null(find(r, name));
	memset(text, ' ', HOSTS_BYTES_MAX + 10); /* a line that is cut counts for nothing */
	memcpy(text, "192.0.2.1 a\n", 12);
	memcpy(text + HOSTS_BYTES_MAX - 11, "192.0.2.2 abc", 13);
	write_file(r, text, HOSTS_BYTES_MAX + 10);
	r->now_ms += HOSTS_LOOK_MS;
	expect(r, "a", 0, "192.0.2.1");
	assert_null(find(r, "ab"));
	assert_null(find(r, "a "));
	assert_int_equal(find(r, "a")->n, 1);
	free(text);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(lines_are_read),
		TEST(a_changed_file_is_read_anew),
		TEST(only_what_was_used_is_listed),
		TEST(it_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
