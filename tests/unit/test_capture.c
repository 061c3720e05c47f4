/* port/capture: the file read back block by block: sizes, options, times, packets as on the wire,
 * statistics; and what happens when it cannot be written. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "port/capture.h"
#include "sim_support.h"

static char path[64];
static struct tg_host_error err;
static uint8_t file[4 << 20], frame[SEGMENT_MAX_BYTES];
static size_t file_bytes, at;

static void setup(void)
{
	int fd;

	strcpy(path, "/tmp/tapglass-test-XXXXXX");
	fd = mkstemp(path);
	ck_assert_int_ge(fd, 0);
	close(fd);
}
static void teardown(void)
{
	unlink(path);
}

static void slurp(void)
{
	FILE *f = fopen(path, "rb");

	ck_assert_ptr_nonnull(f);
	file_bytes = fread(file, 1, sizeof(file), f);
	ck_assert(file_bytes < sizeof(file));
	fclose(f);
	at = 0;
}

static uint32_t u32_at(size_t i)
{
	uint32_t v;

	ck_assert(i + 4 <= file_bytes);
	memcpy(&v, file + i, sizeof(v));
	return v;
}
static uint64_t u64_at(size_t i)
{
	uint64_t v;

	ck_assert(i + 8 <= file_bytes);
	memcpy(&v, file + i, sizeof(v));
	return v;
}

/* Moves to the next block, which is of that type; returns the offset of its body. */
static size_t block(uint32_t type)
{
	size_t body = at + 8;
	uint32_t n = u32_at(at + 4);

	ck_assert_uint_eq(u32_at(at), type);
	ck_assert(n % 4 == 0 && n >= 12 && at + n <= file_bytes);
	ck_assert_uint_eq(u32_at(at + n - 4), n);
	at += n;
	return body;
}

/* Offset of option `code`'s value in the options that begin at i and end with the block; its length
 * is *n. 0: not there. The list ends properly. */
static size_t option(size_t i, unsigned code, unsigned *n)
{
	size_t found = 0;

	for (;;) {
		unsigned c = u32_at(i) & 0xffff, len = u32_at(i) >> 16;

		if (c == code) {
			found = i + 4;
			*n = len;
		}
		i += 4 + (len + 3) / 4 * 4;
		if (c == 0) {
			ck_assert_uint_eq(len, 0);
			ck_assert_uint_eq(i, at - 4);
			return found;
		}
		ck_assert(i <= at - 8);
	}
}

static void section_and_interface(const char *name, unsigned link_type)
{
	unsigned n = 0;
	size_t b = block(0x0a0d0d0a), o;

	ck_assert_uint_eq(u32_at(b), 0x1a2b3c4d);
	ck_assert_uint_eq(u32_at(b + 4), 1);
	ck_assert(u64_at(b + 8) == UINT64_MAX);
	o = option(b + 16, 4, &n);
	ck_assert(n == 8 && memcmp(file + o, "tapglass", 8) == 0);
	b = block(1);
	ck_assert_uint_eq(u32_at(b), link_type);
	o = option(b + 8, 2, &n);
	ck_assert(n == strlen(name) && memcmp(file + o, name, n) == 0);
	o = option(b + 8, 9, &n);
	ck_assert(n == 1 && file[o] == 9);
}

/* The next block is a packet of that many bytes; offset of its data. */
static size_t packet(uint32_t point, uint32_t bytes, uint32_t direction, uint64_t id)
{
	size_t b = block(6), o, opts = b + 20 + (bytes + 3) / 4 * 4;
	unsigned n = 0;

	ck_assert_uint_eq(u32_at(b), point);
	ck_assert_uint_eq(u32_at(b + 12), bytes);
	ck_assert_uint_eq(u32_at(b + 16), bytes);
	o = option(opts, 2, &n);
	ck_assert(o && n == 4 && u32_at(o) == direction);
	o = option(opts, 5, &n);
	ck_assert(id ? o && n == 8 && u64_at(o) == id : o == 0);
	return b + 20;
}

static void statistics(uint32_t point, uint64_t packets, uint64_t drops)
{
	unsigned n = 0;
	size_t b = block(5), o;

	ck_assert_uint_eq(u32_at(b), point);
	o = option(b + 12, 4, &n);
	ck_assert(n == 8 && u64_at(o) == packets);
	o = option(b + 12, 5, &n);
	ck_assert(n == 8 && u64_at(o) == drops);
	ck_assert(option(b + 12, 2, &n) && n == 8);
	ck_assert(option(b + 12, 3, &n) && n == 8);
}

START_TEST (packets_as_on_the_wire) {
	struct tg_capture *c = tg_capture_open(path, &err);
	struct tg_frame f;
	uint32_t hdr, n = sim_frame(frame, TG_LINK_ETHERNET, IP_PROTO_TCP, 3000, 0, &hdr);
	uint64_t now = tg_host_now();
	struct timespec t;
	size_t b;

	ck_assert_ptr_nonnull(c);
	ck_assert_int_eq(capture_add_point(c, "tap0", NULL, TG_LINK_ETHERNET), 0);
	segment_frame_of_bytes(&f, TG_LINK_ETHERNET, frame, n, TG_GSO_TCP4, 1447, TG_CSUM_PARTIAL);
	ck_assert_uint_eq(capture_frame(c, 0, true, &f, 7, now, NULL), 3);
	n = sim_frame(frame, TG_LINK_ETHERNET, IP_PROTO_UDP, 1, 0, NULL);
	segment_frame_of_bytes(&f, TG_LINK_ETHERNET, frame, n, TG_GSO_NONE, 0, TG_CSUM_PARTIAL);
	ck_assert_uint_eq(capture_frame(c, 0, false, &f, 0, now + 5, NULL), 1);
	capture_set_drops(c, 0, 12);
	ck_assert_int_eq(tg_capture_close(c), 0);
	slurp();
	section_and_interface("tap0", 1);
	b = packet(0, hdr + 1447, 2, 7);
	ck_assert(sim_packet_ok(file + b, hdr + 1447, TG_LINK_ETHERNET));
	b = packet(0, hdr + 1447, 2, 8);
	ck_assert(sim_packet_ok(file + b, hdr + 1447, TG_LINK_ETHERNET));
	b = packet(0, hdr + 106, 2, 9);
	ck_assert(sim_packet_ok(file + b, hdr + 106, TG_LINK_ETHERNET));
	now = (uint64_t)u32_at(b - 16) << 32 | u32_at(b - 12);
	b = packet(0, 43, 1, 0);
	ck_assert(sim_packet_ok(file + b, 43, TG_LINK_ETHERNET));
	ck_assert_uint_eq(((uint64_t)u32_at(b - 16) << 32 | u32_at(b - 12)) - now, 5);
	clock_gettime(CLOCK_REALTIME, &t);
	ck_assert((uint64_t)t.tv_sec - now / NS_PER_SEC < 60); /* it is the time of day */
	statistics(0, 4, 12);
	ck_assert_uint_eq(at, file_bytes);
}
END_TEST

START_TEST (many_packets_and_points) {
	struct tg_capture *c = tg_capture_open(path, &err);
	struct unit_rng r;
	uint32_t len[600];
	struct stat st;
	struct tg_frame f;

	unit_rng_start(&r, 0);
	ck_assert_ptr_nonnull(c);
	ck_assert_int_eq(capture_add_point(c, "ip", "about it", TG_LINK_IP), 0);
	ck_assert_int_eq(capture_add_point(c, "stack", NULL, TG_LINK_ETHERNET), 1);
	unit_bytes(&r, frame, sizeof(frame));
	for (uint32_t i = 0; i < ARRAY_LEN(len); i++) {
		len[i] = unit_below(&r, 1600);
		segment_frame_of_bytes(
			&f, TG_LINK_IP, frame + i, len[i], TG_GSO_NONE, 0, TG_CSUM_UNKNOWN);
		ck_assert_uint_eq(capture_frame(c, i & 1, false, &f, i, i, NULL), len[i] > 0);
		if (i == 3)
			capture_flush(c);
	}
	ck_assert_int_eq(tg_capture_close(c), 0);
	ck_assert_int_eq(stat(path, &st), 0);
	slurp();
	section_and_interface("ip", 101);
	block(1);
	for (uint32_t i = 0; i < ARRAY_LEN(len); i++) {
		if (len[i])
			ck_assert_mem_eq(file + packet(i & 1, len[i], 1, i), frame + i, len[i]);
	}
	block(5);
	block(5);
	ck_assert_uint_eq(at, file_bytes);
}
END_TEST

START_TEST (cannot_be_opened) {
	ck_assert_ptr_null(tg_capture_open("/no/such/directory/x.pcapng", &err));
	ck_assert_int_eq(err.errnum, ENOENT);
	ck_assert_str_eq(err.what, "cannot write the capture /no/such/directory/x.pcapng");
	ck_assert_str_eq(err.why, "No such file or directory");
	ck_assert_str_eq(err.fix, "choose another file: --pcap FILE");
}
END_TEST

START_TEST (full_disk_is_told_at_the_end) {
	struct tg_capture *c = tg_capture_open("/dev/full", &err);
	struct tg_frame f;

	ck_assert_ptr_nonnull(c);
	ck_assert(freopen("/dev/null", "w", stderr) != NULL);
	capture_add_point(c, "tap0", NULL, TG_LINK_ETHERNET);
	segment_frame_of_bytes(&f, TG_LINK_ETHERNET, frame, 60000, TG_GSO_NONE, 0, TG_CSUM_UNKNOWN);
	for (int i = 0; i < 20; i++)
		ck_assert_uint_eq(capture_frame(c, 0, true, &f, 0, 0, NULL), 1);
	ck_assert_int_eq(tg_capture_close(c), -ENOSPC);
}
END_TEST

/* A link may outlive the capture's closing, and the other way round. */
START_TEST (closing_in_any_order) {
	struct tg_capture *c = tg_capture_open(path, &err);
	struct tg_frame f;

	capture_hold(c);
	capture_add_point(c, "tap0", NULL, TG_LINK_ETHERNET);
	ck_assert_int_eq(tg_capture_close(c), 0);
	segment_frame_of_bytes(&f, TG_LINK_ETHERNET, frame, 60, TG_GSO_NONE, 0, TG_CSUM_UNKNOWN);
	ck_assert_uint_eq(capture_frame(c, 0, true, &f, 0, 0, NULL), 1);
	capture_flush(c);
	capture_release(c);
	slurp();
	section_and_interface("tap0", 1);
	statistics(0, 0, 0);
	ck_assert_uint_eq(at, file_bytes);
	c = tg_capture_open(path, &err);
	capture_hold(c);
	capture_release(c);
	ck_assert_int_eq(tg_capture_close(c), 0);
	ck_assert_int_eq(tg_capture_close(NULL), 0);
}
END_TEST

/* The next block is a packet; offset of its options. */
static size_t any_packet(uint32_t *kept, uint32_t *bytes)
{
	size_t b = block(6);

	*kept = u32_at(b + 12);
	*bytes = u32_at(b + 16);
	return b + 20 + (*kept + 3) / 4 * 4;
}

/* The n-th comment among the options that begin at i; false: there are no more. */
static bool comment(size_t i, unsigned nth, char text[CAPTURE_NOTE_BYTES])
{
	for (;;) {
		unsigned c = u32_at(i) & 0xffff, len = u32_at(i) >> 16;

		if (c == 0)
			return false;
		if (c == 1 && nth-- == 0) {
			ck_assert(len < CAPTURE_NOTE_BYTES);
			memcpy(text, file + i + 4, len);
			text[len] = 0;
			return true;
		}
		i += 4 + (len + 3) / 4 * 4;
	}
}

/* A large frame's packets carry what is said of each, the last one also the rest. */
START_TEST (comments) {
	struct tg_capture *c = tg_capture_open(path, &err);
	struct capture_notes notes = {.n = 4};
	char text[CAPTURE_NOTE_BYTES];
	uint32_t hdr, kept, bytes,
		n = sim_frame(frame, TG_LINK_ETHERNET, IP_PROTO_TCP, 3000, 0, &hdr);
	struct tg_frame f;
	size_t o;

	notes.note[0].which = CAPTURE_NOTE_EACH;
	strcpy(notes.note[0].text, "one");
	notes.note[1].which = notes.note[2].which = CAPTURE_NOTE_LAST;
	strcpy(notes.note[1].text, "two!");
	strcpy(notes.note[3].text, "of the first");
	memset(notes.note[2].text, 'x', CAPTURE_NOTE_BYTES - 1);
	capture_add_point(c, "tap0", NULL, TG_LINK_ETHERNET);
	segment_frame_of_bytes(&f, TG_LINK_ETHERNET, frame, n, TG_GSO_TCP4, 1500, TG_CSUM_PARTIAL);
	ck_assert_uint_eq(capture_frame(c, 0, false, &f, 1, 0, &notes), 2);
	ck_assert_int_eq(tg_capture_close(c), 0);
	slurp();
	section_and_interface("tap0", 1);
	o = any_packet(&kept, &bytes);
	ck_assert(comment(o, 0, text));
	ck_assert_str_eq(text, "one");
	ck_assert(comment(o, 1, text));
	ck_assert_str_eq(text, "of the first");
	ck_assert(!comment(o, 2, text));
	o = any_packet(&kept, &bytes);
	ck_assert(comment(o, 1, text));
	ck_assert_str_eq(text, "two!");
	ck_assert(comment(o, 2, text));
	ck_assert_uint_eq(strlen(text), CAPTURE_NOTE_BYTES - 1);
	ck_assert(!comment(o, 3, text));
	statistics(0, 2, 0);
}
END_TEST

START_TEST (names_of_addresses) {
	struct tg_capture *c = tg_capture_open(path, &err);
	struct tg_ip ip = tg_ip4(192, 0, 2, 2);
	size_t b;

	for (unsigned i = 0; i < 5; i++)
		tg_capture_name(c, &ip, &"stack"[i]);
	ck_assert_int_eq(tg_capture_close(c), 0);
	slurp();
	block(0x0a0d0d0a);
	for (unsigned i = 0; i < 5; i++) {
		b = block(4);
		ck_assert_uint_eq(u32_at(b), 1 | (4 + 5 - i + 1) << 16);
		ck_assert_mem_eq(file + b + 4, ip.b + 12, 4);
		ck_assert_str_eq((const char *)file + b + 8, &"stack"[i]);
		ck_assert_uint_eq(u32_at(at - 8), 0);
	}
	ck_assert_uint_eq(at, file_bytes);
}
END_TEST

START_TEST (limits_of_length_and_number) {
	const struct tg_capture_options o = {.snap_bytes = 61, .packets_max = 2};
	int fd = open(path, O_WRONLY);
	struct tg_capture *c = tg_capture_open_fd(fd, &o, &err);
	struct tg_capture_counts n;
	struct tg_frame f;
	uint32_t kept, bytes;

	ck_assert_ptr_nonnull(c);
	capture_add_point(c, "tap0", NULL, TG_LINK_ETHERNET);
	for (uint32_t i = 0; i < 4; i++) {
		segment_frame_of_bytes(
			&f, TG_LINK_ETHERNET, frame, 60 + i * 40, TG_GSO_NONE, 0, TG_CSUM_UNKNOWN);
		capture_frame(c, 0, false, &f, 1, 0, NULL);
		tg_capture_counts(c, &n);
		ck_assert(n.complete == (i >= 1) && n.packets == min_u32(i + 1, 2) && n.lost == 0);
	}
	ck_assert_int_eq(tg_capture_close(c), 0);
	ck_assert_int_eq(close(fd), 0); /* it was ours */
	slurp();
	section_and_interface("tap0", 1);
	any_packet(&kept, &bytes);
	ck_assert(kept == 60 && bytes == 60);
	any_packet(&kept, &bytes);
	ck_assert(kept == 61 && bytes == 100);
	statistics(0, 2, 0);
	ck_assert_uint_eq(at, file_bytes);
}
END_TEST

/* Takes what there is in the pipe. */
static void drain(int fd)
{
	ssize_t n;

	while ((n = read(fd, file + file_bytes, sizeof(file) - file_bytes)) > 0)
		file_bytes += (size_t)n;
	ck_assert(n == 0 || errno == EAGAIN);
}

/* Nobody reads: nothing waits, what was left out is counted, with the next packet and at the end.
 */
START_TEST (slow_reader) {
	struct tg_capture *c;
	struct tg_capture_counts n;
	struct tg_frame f;
	int fd[2];
	uint32_t kept, bytes, packets = 0;
	uint64_t told;
	unsigned len = 0;
	size_t o;

	ck_assert_int_eq(pipe2(fd, O_CLOEXEC), 0);
	ck_assert_int_eq(fcntl(fd[0], F_SETFL, O_NONBLOCK), 0);
	c = tg_capture_open_fd(fd[1], NULL, &err);
	ck_assert_ptr_nonnull(c);
	ck_assert_int_eq(fcntl(fd[1], F_GETFL) & O_NONBLOCK, 0); /* it is not only ours */
	capture_add_point(c, "tap0", NULL, TG_LINK_ETHERNET);
	segment_frame_of_bytes(&f, TG_LINK_ETHERNET, frame, 1400, TG_GSO_NONE, 0, TG_CSUM_UNKNOWN);
	for (uint32_t i = 0; i < 2000; i++)
		ck_assert_uint_eq(capture_frame(c, 0, false, &f, i + 1, i, NULL), 1);
	tg_capture_counts(c, &n);
	ck_assert(n.lost > 1000 && n.packets > 500 && n.lost + n.packets == 2000);
	ck_assert(tg_capture_flush(c) > 900000);
	for (file_bytes = at = 0; tg_capture_flush(c) > 0;)
		drain(fd[0]);
	capture_frame(c, 0, false, &f, 2001, 2000, NULL);
	ck_assert_int_eq(tg_capture_close(c), 0);
	close(fd[1]);
	drain(fd[0]);
	close(fd[0]);
	section_and_interface("tap0", 1);
	for (; packets < n.packets; packets++)
		ck_assert_uint_eq(option(any_packet(&kept, &bytes), 4, &len), 0);
	o = option(any_packet(&kept, &bytes), 4, &len);
	ck_assert(o && len == 8);
	told = u64_at(o);
	ck_assert(told == n.lost);
	o = block(5);
	o = option(o + 12, 7, &len);
	ck_assert(o && u64_at(o) == n.lost);
	ck_assert_uint_eq(at, file_bytes);
}
END_TEST

/* At the end nobody waits for a reader that takes nothing. */
START_TEST (reader_that_stops_or_goes) {
	struct tg_capture *c;
	struct tg_frame f;
	int fd[2];
	uint64_t before = tg_host_now();

	signal(SIGPIPE, SIG_IGN);
	ck_assert_int_eq(pipe(fd), 0);
	c = tg_capture_open_fd(fd[1], NULL, &err);
	capture_add_point(c, "tap0", NULL, TG_LINK_ETHERNET);
	segment_frame_of_bytes(&f, TG_LINK_ETHERNET, frame, 1400, TG_GSO_NONE, 0, TG_CSUM_UNKNOWN);
	for (uint32_t i = 0; i < 100; i++)
		capture_frame(c, 0, false, &f, i + 1, i, NULL);
	ck_assert(tg_capture_flush(c) > 0);
	ck_assert_int_eq(tg_capture_close(c), 0);
	ck_assert(tg_host_now() - before < NS_PER_SEC / 2);
	c = tg_capture_open_fd(fd[1], NULL, &err);
	close(fd[0]);
	capture_add_point(c, "tap0", NULL, TG_LINK_ETHERNET);
	ck_assert_int_eq(tg_capture_flush(c), -EPIPE);
	ck_assert_uint_eq(capture_frame(c, 0, false, &f, 1, 1, NULL), 1);
	ck_assert_int_eq(tg_capture_close(c), -EPIPE);
	close(fd[1]);
	ck_assert_ptr_null(tg_capture_open_fd(-1, NULL, &err));
	ck_assert_int_eq(err.errnum, EBADF);
}
END_TEST

static Suite *capture_suite(void)
{
	Suite *s = suite_create("capture");
	TCase *t = tcase_create("capture");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, packets_as_on_the_wire);
	tcase_add_test(t, many_packets_and_points);
	tcase_add_test(t, cannot_be_opened);
	tcase_add_test(t, full_disk_is_told_at_the_end);
	tcase_add_test(t, closing_in_any_order);
	tcase_add_test(t, comments);
	tcase_add_test(t, names_of_addresses);
	tcase_add_test(t, limits_of_length_and_number);
	tcase_add_test(t, slow_reader);
	tcase_add_test(t, reader_that_stops_or_goes);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(capture_suite)
