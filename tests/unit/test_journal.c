/* The journal's boundary: each state-changing function of tapglass.h has a type of record and
 * writes just one, recordings end as they should, and what is recorded may not be put back. The
 * replay of whole worlds, and damage, is in sim/test_replay. */
#define _DEFAULT_SOURCE
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "sock/sock_impl.h"
#include "tapglass_journal.h"
#include "unit.h"

#define RESERVED (64u << 20)
#define HEADER   "stack/tapglass.h"

static struct book {
	uint8_t data[1 << 20];
	size_t bytes;
	size_t fail_at; /* write fails from here on; 0: never */
} book;
static struct tg_recorder rec;

static bool book_write(void *arg, const void *data, size_t n)
{
	struct book *b = arg;

	if ((b->fail_at && b->bytes + n > b->fail_at) || b->bytes + n > sizeof(b->data))
		return false;
	memcpy(b->data + b->bytes, data, n);
	b->bytes += n;
	return true;
}

static struct tg *instance(void)
{
	void *mem = mmap(NULL, RESERVED, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	struct tg_config c;
	struct tg *s;

	ck_assert(mem != MAP_FAILED);
	tg_config_default(&c);
	c.seed[0] = 1;
	s = tg_create(&c, mem, RESERVED, 1000);
	ck_assert_ptr_nonnull(s);
	return s;
}

static struct tg *recorded(uint64_t max_bytes)
{
	struct tg *s = instance();

	memset(&book, 0, sizeof(book));
	rec = (struct tg_recorder){.write = book_write, .arg = &book, .max_bytes = max_bytes};
	ck_assert_int_eq(tg_record_start(&rec, s, "unit"), 0);
	return s;
}

/* Types of the records written since, the first n of them; returns how many. */
static unsigned types_since(size_t at, uint8_t *type, unsigned n)
{
	unsigned count = 0;
	uint32_t payload;

	while (at < book.bytes) {
		memcpy(&payload, book.data + at, sizeof(payload));
		if (count < n)
			type[count] = book.data[at + 4];
		count++;
		at += 16 + payload;
	}
	ck_assert_uint_eq(at, book.bytes);
	return count;
}

/* ---- Every function of the header ---- */

static bool has_type(const char *name)
{
	for (int t = 1; t < TG_RECORD_COUNT; t++)
		if (strcmp(tg_record_call((enum tg_record_type)t), name) == 0)
			return true;
	return false;
}

/* In text, a declaration from TG_API on: does it change the state of an instance? Its name goes to
 * name. */
static bool changes_state(const char *text, size_t len, char name[64])
{
	char decl[600];
	const char *open;
	size_t n;

	ck_assert_uint_lt(len, sizeof(decl));
	memcpy(decl, text, len);
	decl[len] = 0;
	open = strchr(decl, '(');
	ck_assert_ptr_nonnull(open);
	for (n = 0; &open[-1 - (long)n] >= decl && open[-1 - (long)n] != ' ' &&
		    open[-1 - (long)n] != '*' && open[-1 - (long)n] != '\t';
		n++)
		;
	ck_assert_uint_lt(n, 64);
	memcpy(name, open - n, n);
	name[n] = 0;
	if (strcmp(name, "tg_create") == 0)
		return true;
	return strstr(decl, "struct tg *s") && !strstr(decl, "const struct tg *s");
}

START_TEST (each_state_changing_call_has_a_record) {
	static char text[1 << 17];
	FILE *f = fopen(HEADER, "r");
	size_t bytes;
	unsigned found = 0, looked = 0;
	char name[64];

	ck_assert_msg(f != NULL, "%s: run from the top of the source", HEADER);
	bytes = fread(text, 1, sizeof(text) - 1, f);
	fclose(f);
	ck_assert_uint_lt(bytes, sizeof(text) - 1);
	for (const char *at = text; (at = strstr(at, "\nTG_API ")); at++) {
		const char *end = strchr(at, ';');

		ck_assert_ptr_nonnull(end);
		looked++;
		if (!changes_state(at + 1, (size_t)(end - at), name))
			continue;
		ck_assert_msg(has_type(name), "%s has no type of record", name);
		found++;
	}
	ck_assert_uint_eq(found, TG_RECORD_COUNT - 1 - 6); /* END CHECK TRANSMIT PASS, FAIL_AFTER's
							      is in another header */
	ck_assert_uint_gt(looked, found);
}
END_TEST

static bool take_frame(void *dev, const struct tg_frame *f)
{
	(void)dev;
	(void)f;
	return true;
}

#define RECORDS_ONE(TYPE, call)                                                                    \
	do {                                                                                       \
		size_t before = book.bytes;                                                        \
		uint8_t type[2];                                                                   \
                                                                                                   \
		call;                                                                              \
		ck_assert_uint_eq(types_since(before, type, 2), 1);                                \
		ck_assert_uint_eq(type[0], TG_RECORD_##TYPE);                                      \
		done[TG_RECORD_##TYPE] = true;                                                     \
	} while (0)

static bool done[TG_RECORD_COUNT];

static void each_of_the_instance(struct tg *s)
{
	struct tg_netif_config c = {
		.name = "eth0", .mac = {2, 0, 0, 0, 0, 1}, .mtu = 1500, .transmit = take_frame};
	struct tg_ip ip = tg_ip4(192, 0, 2, 2), gw = tg_ip4(192, 0, 2, 1), any = {{0}};
	struct tg_pkt *p = NULL;

	RECORDS_ONE(NETIF_ADD, tg_netif_add(s, &c, 1000));
	RECORDS_ONE(ADDR_ADD, tg_addr_add(s, 1, &ip, 24, 1000));
	RECORDS_ONE(ROUTE_ADD, tg_route_add(s, &any, 0, &gw, 1, 0, 1000));
	RECORDS_ONE(ROUTE_DEL, tg_route_del(s, &any, 0, &gw, 1, 1000));
	RECORDS_ONE(PKT_ALLOC, p = tg_pkt_alloc(s, 100));
	RECORDS_ONE(PKT_FREE, tg_pkt_free(s, p));
	RECORDS_ONE(PKT_ALLOC, p = tg_pkt_alloc(s, 100));
	RECORDS_ONE(INPUT, tg_input(s, 1, p, 1000)); /* an empty frame: dropped, and freed inside */
	RECORDS_ONE(STEP, tg_step(s, 1000));
	RECORDS_ONE(FAIL_AFTER, tg_memory_fail_after(s, 0, 0));
}

static void each_of_a_socket(struct tg *s)
{
	struct tg_addr a = {.port = 80};
	struct tg_mspan room[2];
	struct tg_span span[2];
	struct tg_event e;
	struct tg_dgram d = {.peer = {tg_ip4(127, 0, 0, 1), 9}};
	char data[8] = "1234567";
	tg_sock k = 0, other = 0;
	int64_t v;

	RECORDS_ONE(SOCK_OPEN, tg_sock_open(s, TG_STREAM, 0, 1, &k));
	RECORDS_ONE(SOCK_BIND, tg_sock_bind(s, k, &a));
	RECORDS_ONE(SOCK_LISTEN, tg_sock_listen(s, k, 5, 1000));
	RECORDS_ONE(SOCK_CONNECT, tg_sock_connect(s, k, &d.peer, 1000));
	RECORDS_ONE(SOCK_ACCEPT, tg_sock_accept(s, k, 2, &other, 1000));
	RECORDS_ONE(SOCK_SEND, tg_sock_send(s, k, data, 8, 0, 1000));
	RECORDS_ONE(SOCK_RECV, tg_sock_recv(s, k, data, 8, 0, 1000));
	RECORDS_ONE(SOCK_RESERVE, tg_sock_reserve(s, k, 8, room));
	RECORDS_ONE(SOCK_COMMIT, tg_sock_commit(s, k, 8, 0, 1000));
	RECORDS_ONE(SOCK_PEEK, tg_sock_peek(s, k, span, 2));
	RECORDS_ONE(SOCK_CONSUME, tg_sock_consume(s, k, 8, 1000));
	RECORDS_ONE(SOCK_SETOPT, tg_sock_setopt(s, k, TG_IP_TTL, 3, 1000));
	RECORDS_ONE(SOCK_GETOPT, tg_sock_getopt(s, k, TG_SO_ERROR, &v));
	RECORDS_ONE(SOCK_SHUTDOWN, tg_sock_shutdown(s, k, TG_SHUT_RD, 1000));
	RECORDS_ONE(SOCK_ABORT, tg_sock_abort(s, k, 1000));
	RECORDS_ONE(SOCK_OPEN, tg_sock_open(s, TG_DGRAM, 0, 1, &k));
	RECORDS_ONE(EVENT, ck_assert(tg_event(s, &e)));
	RECORDS_ONE(SOCK_SENDTO, tg_sock_sendto(s, k, data, 8, 0, &d, 1000));
	RECORDS_ONE(SOCK_RECVFROM, tg_sock_recvfrom(s, k, data, 8, 0, &d, 1000));
	RECORDS_ONE(PUT_ERROR, sock_put_error(s, k, TG_ECONNRESET));
	RECORDS_ONE(SOCK_CLOSE, tg_sock_close(s, k, 1000));
}

START_TEST (each_call_writes_one_record) {
	struct tg *s = recorded(1 << 20);

	each_of_the_instance(s);
	each_of_a_socket(s);
	for (int t = TG_RECORD_NETIF_ADD; t < TG_RECORD_COUNT; t++)
		ck_assert_msg(
			done[t], "%s is not tried here", tg_record_call((enum tg_record_type)t));
	ck_assert_int_eq(tg_record_stop(&rec), TG_RECORD_STOPPED);
	ck_assert_uint_eq(rec.bytes, book.bytes);
}
END_TEST

/* ---- How recordings begin and end ---- */

START_TEST (only_a_fresh_instance_is_recorded) {
	struct tg *s = recorded(1 << 20);
	struct tg_recorder second = {.write = book_write, .arg = &book, .max_bytes = 1 << 20};
	tg_sock k;

	ck_assert_int_eq(tg_record_start(&second, s, "unit"), -TG_EBUSY);
	ck_assert_int_eq(tg_record_stop(&rec), TG_RECORD_STOPPED);
	ck_assert_int_eq(tg_sock_open(s, TG_DGRAM, 0, 1, &k), 0);
	ck_assert_int_eq(tg_record_start(&second, s, "unit"), -TG_EINVAL);
}
END_TEST

/* Makes the calls of the book again: to its end, which is said to be this. */
static void replay_to(enum tg_record_end end)
{
	struct tg_replay *p = calloc(1, sizeof(*p));

	ck_assert(tg_replay_open(p, book.data, book.bytes));
	ck_assert_str_eq(p->build, "unit");
	ck_assert(tg_replay_begin(p,
		mmap(NULL, RESERVED, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0),
		malloc(1 << 20)));
	while (tg_replay_next(p) == TG_REPLAY_MORE)
		;
	ck_assert_int_eq(p->state, TG_REPLAY_END);
	ck_assert_int_eq(p->ended, end);
	free(p->scratch);
	free(p);
}

START_TEST (a_journal_keeps_its_limit_and_has_an_end) {
	struct tg *s = recorded(4000);

	for (int i = 0; i < 1000; i++)
		tg_step(s, 2000 + (uint64_t)i);
	ck_assert_int_eq(rec.ended, TG_RECORD_LIMIT);
	ck_assert_uint_le(book.bytes, 4000);
	ck_assert_uint_gt(book.bytes, 3800);
	ck_assert_int_eq(tg_record_stop(&rec), TG_RECORD_LIMIT);
	replay_to(TG_RECORD_LIMIT);
}
END_TEST

START_TEST (a_datagram_goes_as_it_went) {
	struct tg *s = recorded(1 << 20);
	struct tg_addr at = {tg_ip4(127, 0, 0, 1), 7000};
	struct tg_dgram pieces = {.peer = at, .segment = 100};
	struct tg_dgram nowhere = {.peer = at, .via = 9};
	uint8_t data[300] = {0};
	tg_sock k;

	ck_assert_int_eq(tg_sock_open(s, TG_DGRAM, 0, 1, &k), 0);
	ck_assert_int_eq(tg_sock_bind(s, k, &at), 0);
	ck_assert_int_eq(tg_sock_sendto(s, k, data, 300, 0, &pieces, 2000), 300);
	tg_step(s, 3000);
	tg_step(s, 4000);
	ck_assert_int_eq(tg_sock_recv(s, k, data, 300, 0, 5000), 100);
	ck_assert_int_eq(tg_sock_sendto(s, k, data, 300, 0, &nowhere, 6000), -TG_ENETUNREACH);
	ck_assert_int_eq(tg_record_stop(&rec), TG_RECORD_STOPPED);
	replay_to(TG_RECORD_STOPPED);
}
END_TEST

START_TEST (a_failed_write_ends_the_recording_not_the_stack) {
	struct tg *s = recorded(1 << 20);
	size_t bytes;

	tg_step(s, 2000);
	bytes = book.bytes;
	book.fail_at = bytes + 20;
	for (int i = 0; i < 10; i++)
		tg_step(s, 3000);
	ck_assert_int_eq(rec.ended, TG_RECORD_WRITE_ERROR);
	ck_assert_uint_le(book.bytes, bytes + 20);
	ck_assert_int_eq(tg_record_stop(&rec), TG_RECORD_WRITE_ERROR);
}
END_TEST

START_TEST (what_is_recorded_is_not_put_back) {
	struct tg *s = recorded(1 << 20);
	size_t bytes = tg_snapshot_bytes(s);
	void *image = malloc(bytes);

	ck_assert_uint_gt(tg_snapshot_save(s, image, bytes), 0);
	ck_assert(!tg_snapshot_restore(s, image, bytes));
	ck_assert_int_eq(tg_record_stop(&rec), TG_RECORD_STOPPED);
	bytes = book.bytes;
	ck_assert(tg_snapshot_restore(s, image, tg_snapshot_bytes(s)));
	tg_step(s, 3000); /* the recorder of the image's time is gone */
	ck_assert_uint_eq(book.bytes, bytes);
	free(image);
}
END_TEST

static Suite *journal_suite(void)
{
	Suite *s = suite_create("journal");
	TCase *c = tcase_create("journal");

	tcase_add_test(c, each_state_changing_call_has_a_record);
	tcase_add_test(c, each_call_writes_one_record);
	tcase_add_test(c, only_a_fresh_instance_is_recorded);
	tcase_add_test(c, a_journal_keeps_its_limit_and_has_an_end);
	tcase_add_test(c, a_datagram_goes_as_it_went);
	tcase_add_test(c, a_failed_write_ends_the_recording_not_the_stack);
	tcase_add_test(c, what_is_recorded_is_not_put_back);
	suite_add_tcase(s, c);
	return s;
}

UNIT_MAIN(journal_suite)
