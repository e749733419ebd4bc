/* zones.*.tls and tls-options: what is read of their files, and what is said of those that are no good. */
#include "tests/unit/conf/conf_test.h"
#include "tests/unit/certs.h"
#include "conf/live.h"
#include "transports/tls.h"
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

static struct certs certs;

static int make(void **state)
{
	(void)state;
	certs_make(&certs);
	return chdir(certs.directory);
}

static int drop(void **state)
{
	(void)state;
	if (chdir("/"))
		return -1;
	certs_drop(&certs);
	return 0;
}

#define TLS(more) NODE "zones: { a: { listen: [\"udp:127.0.0.1:5060\", \"tls:127.0.0.1:5061\"], tls: [{ name: sip.example.com, " \
	"cert: used.pem, key: used.key }]" more " } }\n" POOLS ROUTES

static void use(const char *name)
{
	char command[128];

	snprintf(command, sizeof(command), "cp %s.pem used.pem && cp -p %s.key used.key", name, name);
	assert_int_equal(system(command), 0);
}

/* What is said of `yaml`, one note after another; 0 or -EINVAL in `*err`. */
static const char *said(const char *yaml, const struct conf_live *live, struct conf **out, int *err)
{
	static char text[4096];
	struct conf_notes notes;
	size_t len = 0;

	conf_notes_init(&notes);
	*out = NULL;
	*err = conf_parse_live(out, "f", sv_from(yaml), live, &notes);
	text[0] = '\0';
	list_each(n, &notes.list) {
		char line[512];

		conf_note_format(owner_of(n, struct conf_note, in_list), "f", line, sizeof(line));
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s\n", line);
	}
	conf_notes_fini(&notes);
	return text;
}

static void says(const char *yaml, int expected, const char *what)
{
	struct conf *c;
	int err;
	const char *text = said(yaml, NULL, &c, &err);

	if (err != expected || !strstr(text, what))
		fail_msg("expected %d and \"%s\", it says %d:\n%s", expected, what, err, text);
	conf_free(c);
}

static void each_problem_has_its_place(void **state)
{
	(void)state;
	use("sip");
	says(TLS(", tls-options: { ca: ca.pem }"), 0, "");
	assert_int_equal(rename("used.key", "away.key"), 0);
	says(TLS(", tls-options: { ca: ca.pem }"), -EINVAL, "f:2:121: zones.a.tls[0].key: used.key cannot be read");
	assert_int_equal(system("cp rsa.key used.key"), 0);
	says(TLS(", tls-options: { ca: ca.pem }"), -EINVAL, "f:2:121: zones.a.tls[0].key: used.key is the key of another certificate");
	use("uri");
	says(TLS(", tls-options: { ca: ca.pem }"), -EINVAL, "f:2:75: zones.a.tls[0].name: the certificate is not for sip.example.com");
	use("old");
	says(TLS(", tls-options: { ca: ca.pem }"), 0, "f:2:106: warning: zones.a.tls[0].cert: expired");
	use("soon");
	says(TLS(", tls-options: { ca: ca.pem }"), 0, "warning: zones.a.tls[0].cert: expires in ");
	use("sip");
	says(TLS(", tls-options: { ca: sip.key }"), -EINVAL, "zones.a.tls-options.ca: sip.key holds no certificates");
	says(TLS(", tls-options: { ca: ca.pem, crl: old-crl.pem }"), -EINVAL, "zones.a.tls-options.crl: old-crl.pem is out of date");
	says(TLS(", tls-options: { ca: ca.pem, ciphers: NONE-SUCH }"), -EINVAL, "zones.a.listen: tls:127.0.0.1:5061 no ciphers");
	says(TLS(", tls-options: { verify-client: require }"), -EINVAL, "verify-client needs tls-options: { ca: FILE }");
	says(TLS(", tls-options: { min-version: \"1.1\" }"), -EINVAL, "`1.1` is not one of: 1.2, 1.3");
	says(NODE "zones: { a: { listen: \"udp:127.0.0.1:5060\", tls: [{ name: x.com, cert: used.pem, key: used.key }] } }\n" POOLS ROUTES, 0,
	     "warning: zones.a.tls: no tls or wss listener shows these certificates");
}

/* `tls` and `wss`: tls-options of each, or nothing. */
static void shared(const char *tls, const char *wss, const char *zone, bool is_good)
{
	char yaml[1024];

	snprintf(yaml, sizeof(yaml), NODE "zones: { a: { listen: [\"udp:127.0.0.1:5060\", { bind: \"wss:127.0.0.1:5061/sip\"%s%s }, \n"
	         "{ bind: \"tls:127.0.0.1:5061\"%s%s }], tls: [{ name: sip.example.com, cert: used.pem, key: used.key }], "
	         "tls-options: { ca: ca.pem%s } } }\n" POOLS ROUTES, *wss ? ", tls-options: " : "", wss, *tls ? ", tls-options: " : "", tls,
	         zone);
	says(yaml, is_good ? 0 : -EINVAL,
	     is_good ? "" : "f:2:54: zones.a.listen[1]: shares its port with the tls listener on line 3, whose tls-options hold for both");
}

/* A connection's handshake is over before anybody knows for which of both it is. */
static void who_shares_a_port_shares_its_settings(void **state)
{
	(void)state;
	use("sip");
	shared("", "", "", true);
	shared("", "{ verify-client: require }", "", false);
	shared("{ verify-client: optional }", "{ verify-client: require }", "", false);
	shared("{ verify-client: none }", "", ", verify-client: require", false);
	shared("", "{ min-version: \"1.3\" }", "", false);
	shared("{ min-version: \"1.3\" }", "", "", false);
	shared("", "{ ciphers: TLS_AES_256_GCM_SHA384 }", "", false);
	shared("{ min-version: \"1.3\", verify-client: require, ciphers: TLS_AES_256_GCM_SHA384 }",
	       "{ min-version: \"1.3\", verify-client: require, ciphers: TLS_AES_256_GCM_SHA384 }", "", true);
	shared("{ min-version: \"1.2\", verify-client: none }", "", "", true); /* as it is without */
	says(NODE "zones: { a: { listen: [\"udp:127.0.0.1:5060\", \"tls:127.0.0.1:5061\", { bind: \"wss:127.0.0.1:8443/sip\", tls-options: { "
	     "min-version: \"1.3\" } }], tls: [{ name: sip.example.com, cert: used.pem, key: used.key }], tls-options: { ca: ca.pem } } }\n"
	     POOLS ROUTES, 0, ""); /* each has a port of its own */
}

/* What is no fault of the files is told as what it is. */
static void no_descriptor_is_left(void **state)
{
	int free_fd = open("/dev/null", O_RDONLY), err;
	struct rlimit limit, none;
	const char *text;
	struct conf *c;

	(void)state;
	use("sip");
	assert_true(free_fd >= 0);
	close(free_fd);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	none = limit;
	none.rlim_cur = (rlim_t)free_fd;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	text = said(TLS(", tls-options: { ca: ca.pem }"), NULL, &c, &err);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_int_equal(err, -EMFILE);
	assert_non_null(strstr(text, "used.pem cannot be read: Too many open files"));
	says(TLS(", tls-options: { ca: ca.pem }"), 0, "");
}

/* By which a trunk is known: a client shows it where it is asked, a server where we verify it. */
static void a_name_that_nobody_proves_is_said(void **state)
{
#define TRUNK(listen, options, uri) NODE "zones: { a: { listen: [\"udp:127.0.0.1:5060\"" listen "], tls: [{ name: sip.example.com, cert: used.pem, " \
	"key: used.key }], tls-options: { ca: ca.pem" options " } } }\npools: { p: { zone: a, destinations: [{ name: d, uri: \"sip:127.0.0.1:5080\" }] }, " \
	"q: { zone: a, destinations: [{ name: d, uri: \"sip:127.0.0.1:5080\" }, { name: e, uri: \"" uri "\" }] } }\n" ROUTES \
	"trunks: { t: { zone: a, pool: q, match: { tls-name: gw.example } } }\n"
#define SECURE ", \"tls:127.0.0.1:5061\""
	static const struct { const char *yaml; bool is_said; } of[] = {
		{ TRUNK(SECURE, "", "sip:192.0.2.1"), true },
		{ TRUNK(SECURE, "", "sip:192.0.2.1;transport=tls"), false },
		{ TRUNK(SECURE, "", "sips:192.0.2.1"), false },
		{ TRUNK(SECURE, "", "sip:gw.example"), false }, /* NAPTR may say TLS */
		{ TRUNK("", "", "sip:gw.example"), true },      /* but there is nothing to go there by */
		{ TRUNK(SECURE, ", verify-server: off", "sip:192.0.2.1;transport=tls"), true },
		{ TRUNK(SECURE, ", verify-client: optional", "sip:192.0.2.1"), false },
		{ TRUNK("", ", verify-client: optional", "sip:192.0.2.1"), true },
		{ TRUNK(SECURE ", { bind: \"tcp:127.0.0.1:5060\", tls-options: { verify-client: require } }", "", "sip:192.0.2.1"), true },
	};

	(void)state;
	use("sip");
	for (size_t i = 0; i < COUNT_OF(of); i++) {
		struct conf *c;
		int err;
		const char *text = said(of[i].yaml, NULL, &c, &err);

		if (err || (strstr(text, "trunks.t: match.tls-name: nobody proves a name in zone a") != NULL) != of[i].is_said)
			fail_msg("%s says %d:\n%s", of[i].yaml, err, text);
		conf_free(c);
	}
}

static void settings_of_a_zone_and_its_listeners(void **state)
{
	struct conf *c;
	int err;

	(void)state;
	use("sip");
	said(NODE "zones: { a: { listen: [\"udp:127.0.0.1:5060\", \"tls:127.0.0.1:5061\", { bind: \"tls:127.0.0.1:5071\", tls-options: { "
	     "min-version: \"1.3\", verify-client: require } }], tls: [{ name: \"*.example.com\", cert: wild.pem, key: wild.key }, "
	     "{ name: sip.example.com, cert: used.pem, key: used.key, ocsp: sip.ocsp }], tls-options: { ca: ca.pem, crl: crl.pem } } }\n"
	     POOLS ROUTES, NULL, &c, &err);
	assert_int_equal(err, 0);
	assert_int_equal(c->zones[0].n_certs, 2);
	assert_string_equal(tls_cert_info(c->zones[0].certs[1].loaded)->names, "sip.example.com");
	assert_null(c->listeners[0].tls);
	assert_non_null(c->listeners[1].tls);
	assert_false(tls_context_verifies(c->listeners[1].tls));
	assert_true(tls_context_verifies(c->listeners[2].tls));
	assert_true(tls_context_verifies(c->zones[0].dials));
	assert_true(c->certs_stamp != 0);
	conf_free(c);
	said(TLS(", tls-options: { verify-server: off }"), NULL, &c, &err);
	assert_int_equal(err, 0);
	assert_false(tls_context_verifies(c->zones[0].dials));
	conf_free(c);
}

/* What only something else has changed in keeps what was read; what is read anew has to be good, and an expired one takes nobody's place. */
static void files_are_read_again_when_they_should_be(void **state)
{
	struct conf *now, *next;
	struct conf_live live = { .changes = NULL };
	const char *text;
	int err;

	(void)state;
	use("sip");
	said(TLS(", tls-options: { ca: ca.pem }"), NULL, &now, &err);
	assert_int_equal(err, 0);
	live.now = now;
	assert_int_equal(rename("used.pem", "away.pem"), 0);
	assert_int_equal(system("cp rsa.key used.pem"), 0); /* no certificate */
	said(TLS(", tls-options: { ca: ca.pem }"), &live, &next, &err);
	assert_int_equal(err, 0);
	assert_ptr_equal(next->zones[0].certs[0].loaded, now->zones[0].certs[0].loaded);
	assert_ptr_equal(next->zones[0].believes, now->zones[0].believes);
	assert_true(next->certs_stamp == now->certs_stamp);
	assert_true(conf_certs_stamp(next) != next->certs_stamp);
	conf_free(next);
	live.reads_certs = true;
	said(TLS(", tls-options: { ca: ca.pem }"), &live, &next, &err);
	assert_int_equal(err, -EINVAL);
	use("old");
	text = said(TLS(", tls-options: { ca: ca.pem }"), &live, &next, &err);
	assert_int_equal(err, -EINVAL);
	assert_non_null(strstr(text, "the one it would replace is good"));
	use("sip2");
	said(TLS(", tls-options: { ca: ca.pem }"), &live, &next, &err);
	assert_int_equal(err, 0);
	assert_string_not_equal(tls_cert_info(next->zones[0].certs[0].loaded)->serial, tls_cert_info(now->zones[0].certs[0].loaded)->serial);
	conf_free(now);
	conf_free(next);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_problem_has_its_place),
		cmocka_unit_test(who_shares_a_port_shares_its_settings),
		cmocka_unit_test(no_descriptor_is_left),
		cmocka_unit_test(a_name_that_nobody_proves_is_said),
		cmocka_unit_test(settings_of_a_zone_and_its_listeners),
		cmocka_unit_test(files_are_read_again_when_they_should_be),
	};

	return cmocka_run_group_tests(tests, make, drop);
}
