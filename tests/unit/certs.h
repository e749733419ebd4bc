/* Certificates for tests, made anew by tests/pki. Include cmocka.h before. */
#ifndef TESTS_UNIT_CERTS_H
#define TESTS_UNIT_CERTS_H
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct certs {
	char directory[32];
};

static inline void certs_make(struct certs *c)
{
	char command[512];

	snprintf(c->directory, sizeof(c->directory), "/tmp/sbc-certs-XXXXXX");
	assert_non_null(mkdtemp(c->directory));
	snprintf(command, sizeof(command), "%s/tests/pki %s", SOURCE_DIR, c->directory);
	assert_int_equal(system(command), 0);
}

static inline void certs_drop(struct certs *c)
{
	char command[64];

	snprintf(command, sizeof(command), "rm -rf %s", c->directory);
	assert_int_equal(system(command), 0);
}

/* In an empty directory where `make run` could run: what conf/sbc.yaml names is there. `before` is for demo_leave(). */
static inline void demo_enter(struct certs *c, char before[PATH_MAX])
{
	snprintf(c->directory, sizeof(c->directory), "/tmp/sbc-demo-XXXXXX");
	assert_non_null(mkdtemp(c->directory));
	assert_non_null(getcwd(before, PATH_MAX));
	assert_int_equal(chdir(c->directory), 0);
	assert_int_equal(system(SOURCE_DIR "/tools/demo-certificate build/certificate"), 0);
}

static inline void demo_leave(struct certs *c, const char *before)
{
	assert_int_equal(chdir(before), 0);
	certs_drop(c);
}

#endif
