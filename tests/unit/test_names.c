/* The names, texts and clauses of drop reasons, states and causes; addresses as text. */
#include "tapglass_inspect.h"
#include "unit.h"

/* Lower-case letters, digits, underscores. */
static bool is_name(const char *s)
{
	return strlen(s) && strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789_") == strlen(s);
}

/* "-" or an RFC's number, with the section behind a blank. */
static bool is_clause(const char *s)
{
	return !strcmp(s, "-") ||
	       (*s >= '1' && *s <= '9' && strspn(s, "0123456789. -") == strlen(s));
}

/* The lower-case column says what the upper-case one says. */
START_TEST (drop_names_follow_the_constants) {
#define X(NAME, name, text, clause)                                                                \
	do {                                                                                       \
		char low[64];                                                                      \
		const char *up = #NAME;                                                            \
		size_t n = strlen(up);                                                             \
                                                                                                   \
		ck_assert(n < sizeof(low));                                                        \
		for (size_t i = 0; i <= n; i++)                                                    \
			low[i] = (char)(up[i] >= 'A' && up[i] <= 'Z' ? up[i] + 32 : up[i]);        \
		ck_assert_str_eq(tg_drop_name(TG_DROP_##NAME), low);                               \
		ck_assert_str_eq(tg_drop_text(TG_DROP_##NAME), text);                              \
		ck_assert_str_eq(tg_drop_clause(TG_DROP_##NAME), clause);                          \
	} while (0);
	TG_DROP_LIST(X)
#undef X
	ck_assert_str_eq(tg_drop_name(TG_DROP_TCP_PAWS), "tcp_paws");
	ck_assert_str_eq(tg_drop_clause(TG_DROP_TCP_PAWS), "7323 5.3");
	ck_assert_str_eq(tg_drop_name(TG_DROP_NONE), "none");
	ck_assert_str_eq(tg_drop_clause(TG_DROP_NONE), "-");
}
END_TEST

START_TEST (drop_names_are_distinct_words) {
	for (int i = 0; i < TG_DROP_COUNT; i++) {
		ck_assert(is_name(tg_drop_name((enum tg_drop)i)));
		ck_assert(strlen(tg_drop_text((enum tg_drop)i)) > 0);
		ck_assert(is_clause(tg_drop_clause((enum tg_drop)i)));
		for (int k = 0; k < i; k++)
			ck_assert_str_ne(
				tg_drop_name((enum tg_drop)i), tg_drop_name((enum tg_drop)k));
	}
}
END_TEST

START_TEST (state_names) {
	ck_assert_str_eq(tg_state_name(TG_CLOSED), "CLOSED");
	ck_assert_str_eq(tg_state_name(TG_SYN_RECEIVED), "SYN-RECEIVED");
	ck_assert_str_eq(tg_state_name(TG_FIN_WAIT_1), "FIN-WAIT-1");
	ck_assert_str_eq(tg_state_name(TG_TIME_WAIT), "TIME-WAIT");
	ck_assert_int_eq(TG_TIME_WAIT + 1, TG_STATE_COUNT);
}
END_TEST

START_TEST (causes) {
#define X(name, text, clause)                                                                      \
	ck_assert_str_eq(tg_cause_text(TG_CAUSE_##name), text);                                    \
	ck_assert_str_eq(tg_cause_clause(TG_CAUSE_##name), clause);                                \
	ck_assert(is_clause(clause));
	TG_CAUSE_LIST(X)
#undef X
	ck_assert_str_eq(tg_cause_text(TG_CAUSE_NONE), "no cause");
	ck_assert_str_eq(tg_cause_clause(TG_CAUSE_NONE), "-");
}
END_TEST

/* A damaged record asks for any number. */
START_TEST (out_of_range) {
	static const unsigned bad[] = {0, 255, 65535, 0x7fffffff, 0xffffffff};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		unsigned d = i ? bad[i] : TG_DROP_COUNT, c = i ? bad[i] : TG_CAUSE_COUNT;
		unsigned st = i ? bad[i] : TG_STATE_COUNT;

		ck_assert_str_eq(tg_drop_name((enum tg_drop)d), "?");
		ck_assert_str_eq(tg_drop_text((enum tg_drop)d), "?");
		ck_assert_str_eq(tg_drop_clause((enum tg_drop)d), "?");
		ck_assert_str_eq(tg_state_name((enum tg_state)st), "?");
		ck_assert_str_eq(tg_cause_text((enum tg_cause)c), "?");
		ck_assert_str_eq(tg_cause_clause((enum tg_cause)c), "?");
	}
}
END_TEST

START_TEST (ip_parse_good) {
	static const struct {
		const char *text;
		uint32_t v;
	} t[] = {{"0.0.0.0", 0}, {"255.255.255.255", 0xffffffff}, {"192.168.69.1", 0xc0a84501},
		{"10.0.0.100", 0x0a000064}, {"1.20.199.249", 0x0114c7f9}};

	for (size_t i = 0; i < ARRAY_LEN(t); i++) {
		struct tg_ip ip;
		char buf[16];

		ck_assert(tg_ip_parse(t[i].text, &ip));
		ck_assert_uint_eq(tg_ip4_value(&ip), t[i].v);
		ck_assert(ip.b[10] == 0xff && ip.b[11] == 0xff && ip.b[0] == 0);
		ck_assert_ptr_eq(tg_ip_format(&ip, buf), buf);
		ck_assert_str_eq(buf, t[i].text);
	}
}
END_TEST

START_TEST (ip_parse_bad) {
	static const char *const bad[] = {"", "1", "1.2.3", "1.2.3.", "1.2.3.4.", "1.2.3.4.5",
		".1.2.3", "1..2.3", "256.1.1.1", "1.1.1.256", "1.1.1.1000", "01.2.3.4", "1.2.3.00",
		"1.2.3.04", " 1.2.3.4", "1.2.3.4 ", "1.2.3.4/24", "1.2.3.4:80", "-1.2.3.4",
		"+1.2.3.4", "1.2.3.a", "0x1.2.3.4", "1,2,3,4", "99999999999999999999.1.1.1",
		"::ffff:1.2.3.4", "localhost"};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct tg_ip ip = tg_ip4(9, 9, 9, 9);
		char *exact = malloc(strlen(bad[i]) + 1);

		memcpy(exact, bad[i], strlen(bad[i]) + 1);
		ck_assert_msg(!tg_ip_parse(exact, &ip), "%s", bad[i]);
		ck_assert_uint_eq(tg_ip4_value(&ip), 0x09090909); /* untouched */
		free(exact);
	}
}
END_TEST

START_TEST (ip_format_then_parse) {
	struct unit_rng r;

	unit_rng_start(&r, _i);
	for (int k = 0; k < 1000; k++) {
		struct tg_ip ip = tg_ip4_of((uint32_t)unit_u64(&r)), back;
		char *buf = malloc(16);

		UNIT_CHECK(tg_ip_parse(tg_ip_format(&ip, buf), &back));
		UNIT_CHECK(!memcmp(&ip, &back, sizeof(ip)));
		free(buf);
	}
}
END_TEST

static Suite *names_suite(void)
{
	Suite *s = suite_create("names");
	TCase *t = tcase_create("names");

	tcase_add_test(t, drop_names_follow_the_constants);
	tcase_add_test(t, drop_names_are_distinct_words);
	tcase_add_test(t, state_names);
	tcase_add_test(t, causes);
	tcase_add_test(t, out_of_range);
	tcase_add_test(t, ip_parse_good);
	tcase_add_test(t, ip_parse_bad);
	tcase_add_loop_test(t, ip_format_then_parse, 0, 3);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(names_suite)
