/* Certificates whose files change: when they are read again. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "sbc/publish.h"

static uint64_t files;    /* their stamp, as they are */
static int answer;        /* what comes of reading them */
static unsigned n_read, n_published;

static uint64_t stamp_now(const struct conf *c)
{
	(void)c;
	return files;
}

static int reads(struct publisher *p, struct conf_notes *notes)
{
	(void)notes;
	n_read++;
	if (!answer)
		p->now->certs_stamp = files;
	return answer;
}

static void on_published(void *ctx)
{
	(void)ctx;
	n_published++;
}

#define conf_certs_stamp stamp_now
#define publisher_renew_certs reads
#include "sbc/certs.c"

enum { POLLS = 1000 };

static void polls(struct certs *c, unsigned n)
{
	while (n--)
		certs_poll(c);
}

static void who_is_refused_is_not_asked_again(void **state)
{
	struct conf now = { .certs_stamp = 1 };
	struct publisher p = { .now = &now };
	struct certs c = { .publisher = &p, .on_published = on_published, .seen = 1 };

	(void)state;
	n_read = n_published = 0;
	files = 2;
	answer = -EINVAL;
	polls(&c, 1); /* somebody may still write */
	assert_int_equal(n_read, 0);
	polls(&c, POLLS);
	assert_int_equal(n_read, 1);
	files = 3;
	answer = 0;
	polls(&c, POLLS);
	assert_int_equal(n_read, 2);
	assert_int_equal(n_published, 1);
}

/* No memory, no descriptor, workers that are late: the files may be good. */
static void what_may_pass_is_tried_again(void **state)
{
	static const int passing[] = { -ENOMEM, -EMFILE, -ENFILE };

	(void)state;
	for (unsigned i = 0; i < sizeof(passing) / sizeof(*passing); i++) {
		struct conf now = { .certs_stamp = 1 };
		struct publisher p = { .now = &now };
		struct certs c = { .publisher = &p, .on_published = on_published, .seen = 2 };

		n_read = n_published = 0;
		files = 2;
		answer = passing[i];
		polls(&c, 1);
		assert_int_equal(n_read, 1);
		polls(&c, AGAIN_POLLS);
		assert_int_equal(n_read, 1);
		polls(&c, 1);
		assert_int_equal(n_read, 2);
		answer = 0;
		polls(&c, POLLS);
		assert_int_equal(n_read, 3);
		assert_int_equal(n_published, 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_is_refused_is_not_asked_again),
		cmocka_unit_test(what_may_pass_is_tried_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
