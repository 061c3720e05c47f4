/* The control socket's messages and paths, other users' stacks, the choice of a network, and the
 * words of the tables. */
#define _GNU_SOURCE
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control_wire.h"
#include "net_choice.h"
#include "tables.h"

static char dir[] = "/tmp/tapglass-test-XXXXXX";
static char file[64];

static void make_dir(void)
{
	memcpy(dir + sizeof(dir) - 7, "XXXXXX", 6);
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(file, sizeof(file), "%s/file", dir);
}

static void write_file(const char *text)
{
	FILE *f = fopen(file, "w");

	ck_assert_ptr_nonnull(f);
	fputs(text, f);
	fclose(f);
}

static void remove_dir(void)
{
	unlink(file);
	ck_assert_int_eq(rmdir(dir), 0); /* and nothing else was left in it */
}

/* ---- Messages -------------------------------------------------------------------------------- */

START_TEST (message_there_and_back) {
	struct json_object *o = json_object_new_object(), *back = NULL;
	uint8_t buf[256];
	size_t n;

	json_object_object_add(o, "v", json_object_new_int(1));
	json_object_object_add(o, "error", json_object_new_string("no"));
	n = control_pack(o, buf, sizeof(buf));
	ck_assert_uint_gt(n, CONTROL_HDR_BYTES);
	ck_assert_uint_eq(control_pack(o, buf, n - 1), 0);
	ck_assert_uint_eq(control_pack(o, buf, n), n);
	for (size_t i = 0; i < n; i++)
		ck_assert_int_eq(control_unpack(buf, i, &back), 0);
	ck_assert_int_eq(control_unpack(buf, n, &back), 1);
	ck_assert_int_eq(control_int(back, "v", 0), 1);
	ck_assert_int_eq(control_int(back, "error", 7), 7);
	ck_assert_str_eq(control_text(back, "error"), "no");
	ck_assert_str_eq(control_text(back, "v"), "");
	json_object_put(o);
	json_object_put(back);
}
END_TEST

START_TEST (message_not_believed) {
	static const char *const bodies[] = {
		"[]", "1", "{", "{\"a\":}", "\xff\xfe", "{\"a\":[[[[[[[[[[1]]]]]]]]]]}"};
	struct json_object *o = NULL;
	uint8_t buf[64] = {0};

	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
		size_t n = strlen(bodies[i]);

		buf[3] = (uint8_t)n;
		memcpy(buf + 4, bodies[i], n);
		ck_assert_int_eq(control_unpack(buf, n + 4, &o), -1);
		ck_assert_ptr_null(o);
	}
	memset(buf, 0, sizeof(buf)); /* length 0, and more than there may be */
	ck_assert_int_eq(control_unpack(buf, 4, &o), -1);
	buf[1] = 2;
	ck_assert_int_eq(control_unpack(buf, 4, &o), -1);
	memset(buf, 0xff, 4);
	ck_assert_int_eq(control_unpack(buf, 64, &o), -1);
}
END_TEST

/* ---- Sockets --------------------------------------------------------------------------------- */

START_TEST (socket_taken_and_stale) {
	char path[CONTROL_PATH_BYTES], wanted[CONTROL_PATH_BYTES];
	struct tg_host_error err;
	int a, b;

	make_dir();
	setenv("XDG_RUNTIME_DIR", dir, 1);
	ck_assert(control_path("x", path));
	snprintf(wanted, sizeof(wanted), "%s/tapglass/x.sock", dir);
	ck_assert_str_eq(path, wanted);
	a = control_listen(path, &err);
	ck_assert_int_ge(a, 0);
	b = control_listen(path, &err);
	ck_assert_int_eq(b, -EADDRINUSE);
	ck_assert_str_eq(err.what, "a stack named \"x\" is running already");
	ck_assert_str_eq(err.fix, "tapglass --name two, or stop it");
	close(a); /* killed: its socket stays */
	ck_assert_int_eq(access(path, F_OK), 0);
	a = control_listen(path, &err);
	ck_assert_int_ge(a, 0);
	control_unlink(path);
	close(a);
	/* A directory that others can enter is not used. */
	snprintf(wanted, sizeof(wanted), "%s/tapglass", dir);
	ck_assert_int_eq(mkdir(wanted, 0700), 0);
	ck_assert_int_eq(chmod(wanted, 0755), 0);
	ck_assert_int_eq(control_listen(path, &err), -EPERM);
	ck_assert_str_eq(err.why, "the directory is not ours alone (mode 0700)");
	ck_assert_int_eq(rmdir(wanted), 0);
	remove_dir();
	setenv("XDG_RUNTIME_DIR", "relative", 1);
	ck_assert(control_path("x", path));
	snprintf(wanted, sizeof(wanted), "/tmp/tapglass-%u/x.sock", (unsigned)geteuid());
	ck_assert_str_eq(path, wanted);
}
END_TEST

START_TEST (other_users_stack) {
	static const char table[] =
		"Num       RefCount Protocol Flags    Type St Inode Path\n"
		"0000000000000000: 00000002 00000000 00010000 0001 01 1 "
		"/run/user/1001/tapglass/other.sock\n"
		"0000000000000000: 00000003 00000000 00000000 0001 03 2 "
		"/run/user/1001/tapglass/x.sock\n"
		"0000000000000000: 00000002 00000000 00010000 0001 01 3 "
		"/run/user/1000/tapglass/x.sock\n"
		"0000000000000000: 00000002 00000000 00010000 0001 01 4 @/run/user/7/tapglass\n"
		"0000000000000000: 00000002 00000000 00010000 0001 01 5 "
		"/tmp/tapglass-2000/x.sock\n";
	struct tg_host_error err;
	unsigned uid = 0;

	make_dir();
	write_file(table);
	ck_assert(control_other_owner(file, "x", 1000, &uid));
	ck_assert_uint_eq(uid, 2000);
	ck_assert(control_other_owner(file, "other", 1000, &uid));
	ck_assert_uint_eq(uid, 1001);
	ck_assert(!control_other_owner(file, "other", 1001, &uid));
	ck_assert(!control_other_owner(file, "none", 1000, &uid));
	remove_dir();
	ck_assert(!control_other_owner(file, "x", 1000, &uid));
	control_error_other(0, &err);
	ck_assert_int_eq(err.errnum, EPERM);
	ck_assert_str_eq(err.what, "the running stack belongs to root");
	ck_assert_str_eq(err.fix, "sudo -u root, or start your own: tapglass up");
	control_error_other(4000000000u, &err);
	ck_assert_str_eq(err.what, "the running stack belongs to uid 4000000000");
	ck_assert_str_eq(err.fix, "sudo -u '#4000000000', or start your own: tapglass up");
}
END_TEST

/* ---- The network ----------------------------------------------------------------------------- */

START_TEST (network_that_is_routed) {
	static const char heading[] =
		"Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\n"
		"eth0\t00000000\t0102000A\t0003\t0\t0\t0\t00000000\t0\n";
	char text[600], why[160], ifname[16];
	uint32_t net = 0;

	make_dir();
	write_file(heading);
	ck_assert(net_choose(file, &net, 24, NULL, why));
	ck_assert_uint_eq(net, 0xc0000200);
	ck_assert_str_eq(why, "");
	snprintf(text, sizeof(text), "%seth1\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\n",
		heading);
	write_file(text);
	ck_assert(net_choose(file, &net, 24, NULL, why));
	ck_assert_uint_eq(net, 0xc6336400);
	ck_assert_str_eq(why, "192.0.2.0/24 is already routed via eth1; using 198.51.100.0/24");
	ck_assert(net_choose(file, &net, 24, "eth1", why));
	ck_assert_uint_eq(net, 0xc0000200);
	ck_assert(net_routed(file, 0xc0000200, 16, NULL, ifname));
	ck_assert_str_eq(ifname, "eth1");
	remove_dir();
}
END_TEST

/* ---- Words ----------------------------------------------------------------------------------- */

START_TEST (why_it_waits) {
	static const char *const words[] = {[TG_WAIT_APP] = "app",
		[TG_WAIT_CWND] = "cwnd",
		[TG_WAIT_RWND] = "rwnd",
		[TG_WAIT_NAGLE] = "nagle",
		[TG_WAIT_PACING] = "pacing",
		[TG_WAIT_NONE] = "none",
		"?"};

	/* what the stack says, each in its situation: drill/sockets/waits-*, net/why */
	for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		struct tg_tcp_info info = {.waits = (uint8_t)i};

		ck_assert_str_eq(tables_why(&info), words[i]);
	}
}
END_TEST

START_TEST (names) {
	struct tg_sock_row row = {.type = TG_STREAM, .state = TG_SYN_RECEIVED};
	char buf[40];

	ck_assert_str_eq(tables_mib_name("tcp_in_segs", buf), "TcpInSegs");
	ck_assert_str_eq(tables_mib_name("ip_in_receives", buf), "IpInReceives");
	ck_assert_str_eq(tables_mib_name("icmp_in_echos", buf), "IcmpInEchos");
	ck_assert_str_eq(tables_state(&row), "SYN-RECV");
	row.state = TG_ESTABLISHED;
	ck_assert_str_eq(tables_state(&row), "ESTAB");
	row.state = 200;
	ck_assert_str_eq(tables_state(&row), "?");
	ck_assert_str_eq(tables_type(&row), "tcp");
	ck_assert_str_eq(tables_neigh_state(TG_NEIGH_REACHABLE), "REACHABLE");
	ck_assert_str_eq(tables_neigh_state(99), "?");
}
END_TEST

static Suite *control_suite(void)
{
	Suite *s = suite_create("control");
	TCase *t = tcase_create("control");

	tcase_add_test(t, message_there_and_back);
	tcase_add_test(t, message_not_believed);
	tcase_add_test(t, socket_taken_and_stale);
	tcase_add_test(t, other_users_stack);
	tcase_add_test(t, network_that_is_routed);
	tcase_add_test(t, why_it_waits);
	tcase_add_test(t, names);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	SRunner *sr = srunner_create(control_suite());
	int failed;

	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
