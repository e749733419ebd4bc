/* Certificates for tests, made anew by tests/pki. Include cmocka.h before. */
#ifndef TESTS_UNIT_CERTS_H
#define TESTS_UNIT_CERTS_H
#include <stdio.h>
#include <stdlib.h>

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

#endif
