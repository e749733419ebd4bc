/* Unit tests of topohide/dialoginfo.h: what is found in a body, what is not read, and that nothing else changes (RFC 4235). */
#include "topohide/dialoginfo.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* Turns identifiers over, hides values with "inside" in them, and refuses those with "never". */
struct mapper {
	char area[3][64];
	unsigned n_names, n_values;
	char seen[256];
};

static void turn(char *area, struct sv *name)
{
	for (size_t i = 0; i < name->len && i < 64; i++)
		area[i] = name->p[name->len - 1 - i];
	if (name->len)
		*name = (struct sv){ area, name->len };
}

static void names(void *ctx, struct dialoginfo_names *n)
{
	struct mapper *m = ctx;

	m->n_names++;
	snprintf(m->seen, sizeof(m->seen), "%.*s|%.*s|%.*s", SV_ARG(n->call_id), SV_ARG(n->local_tag), SV_ARG(n->remote_tag));
	turn(m->area[0], &n->call_id);
	turn(m->area[1], &n->local_tag);
	turn(m->area[2], &n->remote_tag);
}

static bool value(void *ctx, struct sv *text)
{
	((struct mapper *)ctx)->n_values++;
	if (sv_find(*text, SV("inside")) != SIZE_MAX)
		*text = SV("<\"out&'>");
	return sv_find(*text, SV("never")) == SIZE_MAX;
}

static char result[8192];
static struct mapper mapper;

static int map_room(const char *body, size_t len, size_t room)
{
	const struct dialoginfo m = { .ctx = &mapper, .names = names, .value = value };
	char *copy = malloc(len ? len : 1), scratch[256]; /* an exact copy: a read beyond it shows */
	struct arena arena;
	struct out o;
	int err;

	assert_non_null(copy);
	memcpy(copy, body, len);
	mapper = (struct mapper){ .n_names = 0 };
	arena_init(&arena, scratch, sizeof(scratch), 65536);
	out_init(&o, result, room);
	err = dialoginfo_map(&o, (struct sv){ copy, len }, &arena, &m);
	*o.at = '\0';
	arena_reset(&arena);
	free(copy);
	return err ? err : o.is_full ? -EMSGSIZE : 0;
}

static int map(const char *body)
{
	return map_room(body, strlen(body), sizeof(result) - 1);
}

static void expect(const char *body, const char *out)
{
	assert_int_equal(map(body), 0);
	assert_string_equal(result, out);
}

#define ROOT(inner) "<dialog-info xmlns=\"urn:ietf:params:xml:ns:dialog-info\" version=\"1\" state=\"full\">" inner "</dialog-info>"

static void a_whole_body(void **state)
{
	(void)state;
	expect("<?xml version='1.0'?>\r\n" ROOT("\r\n <dialog id=\"a\" call-id=\"abc\" local-tag=\"def\"\n\tremote-tag='ghi' direction=\"initiator\">\r\n"
	       "  <state event=\"replaced\">confirmed</state>\r\n  <replaces call-id=\"1-2\" local-tag=\"3\" remote-tag=\"45\"/>\r\n"
	       "  <local><identity display=\"Alice\">sip:alice@example.com</identity><target uri=\"sip:alice@inside\"/></local>\r\n </dialog>\r\n"),
	       "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n" ROOT("\r\n <dialog id=\"a\" call-id=\"cba\" local-tag=\"fed\"\n\tremote-tag='ihg' "
	       "direction=\"initiator\">\r\n  <state event=\"replaced\">confirmed</state>\r\n  <replaces call-id=\"2-1\" local-tag=\"3\" "
	       "remote-tag=\"54\"/>\r\n  <local><identity display=\"Alice\">sip:alice@example.com</identity>"
	       "<target uri=\"&lt;&quot;out&amp;&apos;&gt;\"/></local>\r\n </dialog>\r\n"));
	assert_int_equal(mapper.n_names, 2);
}

static void prefixes_comments_and_references(void **state)
{
	(void)state;
	expect("\xef\xbb\xbf<d:dialog-info><!-- inside -->\n<d:dialog  call-id = \"a&amp;b&#x41;&#66;\" ></d:dialog ></d:dialog-info>\n",
	       "<d:dialog-info>\n<d:dialog  call-id=\"BAb&amp;a\"></d:dialog></d:dialog-info>\n");
	assert_string_equal(mapper.seen, "a&bAB||");
	expect(ROOT("<x a=\"in&#115;ide\" b='&quot;' c=\"&#228;\">&#105;nside &lt;</x>"),
	       ROOT("<x a=\"&lt;&quot;out&amp;&apos;&gt;\" b='&quot;' c=\"&#228;\">&lt;&quot;out&amp;&apos;&gt;</x>"));
	expect(ROOT("<dialog call-id=\"\" local-tag=\"\"/>"), ROOT("<dialog call-id=\"\" local-tag=\"\"/>"));
}

/* Other elements have no identifiers, whatever their attributes are called. */
static void identifiers_of_other_elements(void **state)
{
	(void)state;
	expect(ROOT("<x call-id=\"abc\"/>"), ROOT("<x call-id=\"abc\"/>"));
	assert_int_equal(mapper.n_names, 0);
	assert_int_equal(mapper.n_values, 4);
}

static void not_understood(void **state)
{
	static const char *const bodies[] = {
		"", " ", "text", "<", "<dialog-info", "<dialog-info>", "<dialog-info/", "</dialog-info>", "<presence></presence>",
		"<dialog-info></dialog>", "<dialog-info></dialog-info", "<dialog-info/><dialog-info/>", "<dialog-info/>x", "x<dialog-info/>",
		"<!DOCTYPE dialog-info [<!ENTITY e \"10.0.0.1\">]><dialog-info>&e;</dialog-info>", ROOT("&e;"), ROOT("&amp"), ROOT("&#;"),
		ROOT("&#x;"), ROOT("&#0;"), ROOT("&#x110000;"), ROOT("&#99999999;"), ROOT("&#1g;"), ROOT("<![CDATA[inside]]>"), ROOT("<?php ?>"),
		ROOT("<x a/>"), ROOT("<x a=b/>"), ROOT("<x a='b/>"), ROOT("<x a='b'c='d'/>"), ROOT("<x a='<'/>"), ROOT("<x a='1' a='2'/>"),
		ROOT("<x"), ROOT("< x/>"), ROOT("<x/ >"), ROOT("<!-- -- -->"), ROOT("<!-->"), ROOT("<!-- "), ROOT("\x01"), "<?xml?><dialog-info/>",
		"<?xml version='1.0'<dialog-info/>", "<?xml version='1.0' encoding='EBCDIC'?><dialog-info/>", " <?xml version='1.0'?><dialog-info/>",
		ROOT("<dialog d:call-id='1' e:call-id='2'/>"), "<dialog-info a=\"",
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(bodies) / sizeof(*bodies); i++)
		if (map(bodies[i]) != -EBADMSG)
			fail_msg("%s: understood", bodies[i]);
	assert_int_equal(map_room("<dialog-info>\0</dialog-info>", 28, 8191), -EBADMSG);
}

static void never_shown(void **state)
{
	(void)state;
	assert_int_equal(map(ROOT("<x a=\"never\"/>")), -EPERM);
	assert_int_equal(map(ROOT("<x>ne&#118;er</x>")), -EPERM);
}

/* n elements `open` within each other, or one after another. */
static char *many(unsigned n, const char *open, const char *close, bool is_nested)
{
	size_t room = 64 + n * (strlen(open) + strlen(close)) + 1;
	char *text = calloc(1, room), *at = text;

	assert_non_null(text);
	at += sprintf(at, "<dialog-info>");
	for (unsigned i = 0; i < n; i++)
		at += sprintf(at, "%s%s", open, is_nested ? "" : close);
	for (unsigned i = 0; i < n && is_nested; i++)
		at += sprintf(at, "%s", close);
	sprintf(at, "</dialog-info>");
	return text;
}

static void bounds(void **state)
{
	char *text = many(DIALOGINFO_DEPTH_MAX - 1, "<x>", "</x>", true);

	(void)state;
	expect(text, text);
	free(text);
	text = many(DIALOGINFO_DEPTH_MAX, "<x>", "</x>", true);
	assert_int_equal(map(text), -EBADMSG);
	free(text);
	text = many(DIALOGINFO_ELEMENTS_MAX - 1, "<x/>", "", false);
	assert_int_equal(map(text), -EMSGSIZE); /* understood, but there is no room here for so much */
	free(text);
	text = many(DIALOGINFO_ELEMENTS_MAX, "<x/>", "", false);
	assert_int_equal(map(text), -EBADMSG);
	free(text);
	for (unsigned n = DIALOGINFO_ATTRIBUTES_MAX; n <= DIALOGINFO_ATTRIBUTES_MAX + 1; n++) {
		char body[1024] = "<dialog-info";

		for (unsigned i = 0; i < n; i++)
			sprintf(body + strlen(body), " a%u=''", i);
		strcat(body, "/>");
		assert_int_equal(map(body), n > DIALOGINFO_ATTRIBUTES_MAX ? -EBADMSG : 0);
	}
	for (size_t room = 0; room < 30; room++)
		assert_int_equal(map_room("<dialog-info>abcdefgh</dialog-info>", 35, room), -EMSGSIZE);
}

/* Cut anywhere, it is not understood, and nothing behind it is read. */
static void cut_anywhere(void **state)
{
	static const char body[] = "<?xml version=\"1.0\"?><dialog-info a=\"&amp;\"><!-- c --><dialog call-id='&#x41;'>t</dialog></dialog-info>";

	(void)state;
	for (size_t len = 0; len < sizeof(body) - 1; len++)
		assert_int_equal(map_room(body, len, sizeof(result) - 1), -EBADMSG);
	assert_int_equal(map_room(body, sizeof(body) - 1, sizeof(result) - 1), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_whole_body),
		cmocka_unit_test(prefixes_comments_and_references),
		cmocka_unit_test(identifiers_of_other_elements),
		cmocka_unit_test(not_understood),
		cmocka_unit_test(never_shown),
		cmocka_unit_test(bounds),
		cmocka_unit_test(cut_anywhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
