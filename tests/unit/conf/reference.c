/* tests/unit/conf/reference.c - the committed pages are what the table generates. */
#include <stdio.h>
#include "tests/unit/conf/conf_test.h"
#include "tests/unit/certs.h"

static char *contents(const char *path)
{
	FILE *f = fopen(path, "r");
	char *text = calloc(1, 1 << 20);

	assert_non_null(text);
	if (f) {
		assert_true(fread(text, 1, (1 << 20) - 1, f) < (1 << 20) - 1);
		fclose(f);
	}
	return text;
}

/* SBC_WRITE=1 writes the file instead: what to do after a change of the table. */
static void same_as_committed(const char *path, int (*make)(struct conf_text *out))
{
	char *committed = contents(path);
	struct conf_text made;
	FILE *f;

	assert_int_equal(make(&made), 0);
	assert_int_equal(made.len, strlen(made.p));
	if (getenv("SBC_WRITE")) {
		assert_non_null(f = fopen(path, "w"));
		assert_int_equal(fwrite(made.p, 1, made.len, f), made.len);
		fclose(f);
	} else if (strcmp(committed, made.p) != 0) {
		free(committed);
		free(made.p);
		fail_msg("%s differs from what the table generates: SBC_WRITE=1 unit-conf-reference writes it", path);
	}
	free(committed);
	free(made.p);
}

static void page_is_generated(void **state)
{
	(void)state;
	same_as_committed(SOURCE_DIR "/docs/configuration.md", conf_reference);
}

static void schema_is_generated(void **state)
{
	(void)state;
	same_as_committed(SOURCE_DIR "/conf/sbc.schema.json", conf_json_schema);
}

static unsigned warnings_of(const char *path)
{
	struct conf_notes notes;
	struct conf *c = NULL;
	char text[8192];
	unsigned warnings;

	conf_notes_init(&notes);
	if (conf_load(&c, path, &notes) != 0)
		fail_msg("%s", notes_text(&notes, text, sizeof(text)));
	warnings = notes.warnings;
	conf_free(c);
	conf_notes_fini(&notes);
	return warnings;
}

static void shipped_files_load(void **state)
{
	char before[PATH_MAX];
	struct certs demo;

	(void)state;
	demo_enter(&demo, before);
	assert_int_equal(warnings_of(SOURCE_DIR "/conf/sbc.yaml"), 3); /* anyone may use two rules, and register */
	demo_leave(&demo, before);
	assert_true(warnings_of(SOURCE_DIR "/conf/sbc.example.yaml") > 0); /* parts that are not active, files that are not there */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(page_is_generated),
		cmocka_unit_test(schema_is_generated),
		cmocka_unit_test(shipped_files_load),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
