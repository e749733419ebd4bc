/* docs/reasons.md is what the two tables of reasons say: the scanner's and the call's. */
#include "sbc/call/reasons.h"
#include "sip/view.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static void row(FILE *f, const char *id, unsigned status, const char *text)
{
	if (status)
		fprintf(f, "| `%s` | %u | %s |\n", id, status, text);
	else
		fprintf(f, "| `%s` | | %s |\n", id, text);
}

static void write_page(FILE *f)
{
	fputs("# Reasons\n\n"
	      "Every answer that the SBC makes itself, and every end of a call, has a stable id. It is in the log (`reason=`, level\n"
	      "debug for what a peer can trigger at will), in the call records (`reason`), and, for malformed messages, in the\n"
	      "reason phrase.\n"
	      "This page is generated from the tables in `sbc/call/reasons.h` and `sip/view.c`.\n\n"
	      "## Requests and calls\n\n| id | status | what it means |\n|---|---|---|\n",
	      f);
	for (unsigned i = 0; i < WHY_COUNT; i++)
		row(f, call_reasons[i].id, call_reasons[i].status, call_reasons[i].text);
	fputs("\n## Malformed messages\n\nAnswered where an answer can be built from the message, silently dropped otherwise;\n"
	      "ACKs and responses are never answered.\n\n| id | status | what it means |\n|---|---|---|\n",
	      f);
	for (size_t i = 1; i < view_reasons_count; i++) /* 0: nothing wrong */
		row(f, view_reasons[i].id, view_reasons[i].status, view_reasons[i].text);
}

static void page_is_generated(void **state)
{
	static const char path[] = SOURCE_DIR "/docs/reasons.md";
	char *made, *committed;
	size_t len;
	FILE *f = open_memstream(&made, &len);

	(void)state;
	assert_non_null(f);
	write_page(f);
	fclose(f);
	if (getenv("SBC_WRITE")) {
		assert_non_null(f = fopen(path, "w"));
		assert_int_equal(fwrite(made, 1, len, f), len);
		fclose(f);
	}
	assert_non_null(committed = calloc(1, len + 2));
	assert_non_null(f = fopen(path, "r"));
	assert_int_equal(fread(committed, 1, len + 1, f), len);
	fclose(f);
	assert_string_equal(committed, made);
	free(committed);
	free(made);
}

static void ids_are_unique_and_explained(void **state)
{
	(void)state;
	for (unsigned i = 0; i < WHY_COUNT; i++) {
		assert_true(strlen(call_reasons[i].text) > 10);
		for (unsigned k = 0; k < i; k++)
			assert_string_not_equal(call_reasons[i].id, call_reasons[k].id);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(page_is_generated),
		cmocka_unit_test(ids_are_unique_and_explained),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
