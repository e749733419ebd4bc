/* AES-128: FIPS 197's example, and the processor's instructions against OpenSSL. */
#include "topohide/aes.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

static void fips_197_appendix_c1(void **state)
{
	static const uint8_t cipher[AES_BLOCK] = { 0x69, 0xc4, 0xe0, 0xd8, 0x6a, 0x7b, 0x04, 0x30,
	                                           0xd8, 0xcd, 0xb7, 0x80, 0x70, 0xb4, 0xc5, 0x5a };
	uint8_t key[AES_BLOCK], plain[AES_BLOCK], out[AES_BLOCK], back[AES_BLOCK];
	struct aes a;

	(void)state;
	for (unsigned i = 0; i < AES_BLOCK; i++) {
		key[i] = (uint8_t)i;
		plain[i] = (uint8_t)(i * 0x11);
	}
	for (int use_processor = 0; use_processor < 2; use_processor++) {
		assert_int_equal(aes_init(&a, key, use_processor), 0);
		aes_seal(&a, plain, out);
		assert_memory_equal(out, cipher, AES_BLOCK);
		aes_open(&a, out, back);
		assert_memory_equal(back, plain, AES_BLOCK);
		aes_fini(&a);
	}
}

static void both_ways_give_the_same_bytes(void **state)
{
	uint64_t seed = 88172645463325252ull;
	uint8_t key[AES_BLOCK], block[AES_BLOCK], one[AES_BLOCK], other[AES_BLOCK];
	struct aes processor, openssl;

	(void)state;
	for (unsigned round = 0; round < 2000; round++) {
		for (unsigned i = 0; i < AES_BLOCK; i++) {
			seed ^= seed << 13;
			seed ^= seed >> 7;
			seed ^= seed << 17;
			key[i] = (uint8_t)seed;
			block[i] = (uint8_t)(seed >> 32);
		}
		assert_int_equal(aes_init(&processor, key, true), 0);
		assert_int_equal(aes_init(&openssl, key, false), 0);
		aes_seal(&processor, block, one);
		aes_seal(&openssl, block, other);
		assert_memory_equal(one, other, AES_BLOCK);
		aes_open(&processor, block, one);
		aes_open(&openssl, block, other);
		assert_memory_equal(one, other, AES_BLOCK);
		aes_fini(&processor);
		aes_fini(&openssl);
	}
	print_message("the processor %s\n", processor.seal ? "has no AES: OpenSSL twice" : "has AES");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fips_197_appendix_c1),
		cmocka_unit_test(both_ways_give_the_same_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
