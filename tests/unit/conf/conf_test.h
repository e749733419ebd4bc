/* tests/unit/conf/conf_test.h - a small good configuration in pieces, and its notes as one text. */
#ifndef TESTS_UNIT_CONF_CONF_TEST_H
#define TESTS_UNIT_CONF_CONF_TEST_H
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "conf/conf.h"

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

/* One line each, so that what a test adds stands on line 5. */
#define NODE "node: n\n"
#define ZONE(keys) "zones: { a: { " keys " } }\n"
#define ZONES ZONE("listen: \"udp:127.0.0.1:5060\"")
#define POOL(keys) "pools: { p: { zone: a, " keys " } }\n"
#define DESTINATIONS(list) "pools: { p: { zone: a, destinations: [" list "] } }\n"
#define POOLS DESTINATIONS("{ name: d, uri: \"sip:127.0.0.1:5080\" }")
#define ROUTES "routes: [{ when: { caller: trusted }, to: { pool: p } }]\n"
#define WHEN(keys) "routes: [{ when: { caller: trusted, " keys " }, to: { pool: p } }]\n"
#define RULE(keys) "routes: [{ when: { caller: trusted }, " keys " }, { when: { caller: trusted }, to: { pool: p } }]\n"

/* "line:col: path: text" of all notes, one per line, in `buf`. */
static inline const char *notes_text(const struct conf_notes *notes, char *buf, size_t size)
{
	size_t at = 0;

	buf[0] = '\0';
	list_each(it, &notes->list) {
		char line[2048];

		conf_note_format(owner_of(it, struct conf_note, in_list), "f", line, sizeof(line));
		at += (size_t)snprintf(buf + at, size - at, "%s%s", at ? "\n" : "", line + 2);
		assert_true(at < size);
	}
	return buf;
}

/* A snapshot of `yaml`, which has to be without errors; warnings are allowed. */
static inline struct conf *parsed(const char *yaml)
{
	struct conf_notes notes;
	struct conf *c = NULL;
	char text[8192];

	conf_notes_init(&notes);
	if (conf_parse(&c, "f", sv_from(yaml), &notes) != 0)
		fail_msg("refused:\n%s\n%s", yaml, notes_text(&notes, text, sizeof(text)));
	conf_notes_fini(&notes);
	return c;
}

#endif
