/* Opening files below a directory: nothing leads outside, neither by openat2 nor component by
 * component. */
#define _GNU_SOURCE 1
#include "../../apps/http_beneath.h"
#include "unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char top[64];

static void file(const char *name, const char *text)
{
	char path[256];
	FILE *f;

	snprintf(path, sizeof path, "%s/%s", top, name);
	f = fopen(path, "w");
	ck_assert_ptr_nonnull(f);
	fputs(text, f);
	fclose(f);
}

static void link_to(const char *to, const char *name)
{
	char path[256];

	snprintf(path, sizeof path, "%s/%s", top, name);
	ck_assert_int_eq(symlink(to, path), 0);
}

static void directory(const char *name)
{
	char path[256];

	snprintf(path, sizeof path, "%s/%s", top, name);
	ck_assert_int_eq(mkdir(path, 0700), 0);
}

static void setup(void)
{
	strcpy(top, "/tmp/tapglass-test-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(top));
	directory("www");
	directory("www/sub");
	file("secret", "outside");
	file("www/a", "inside");
	file("www/sub/b", "inside");
	link_to("../secret", "www/up");
	link_to("/etc/passwd", "www/absolute");
	link_to("..", "www/sub/parent");
	link_to("../..", "www/sub/grandparent");
	link_to("/proc/self/cwd", "www/magic");
	link_to("sub", "www/within");
	link_to("loop", "www/loop");
}

static void teardown(void)
{
	char command[128];

	snprintf(command, sizeof command, "rm -rf '%s'", top);
	ck_assert_int_eq(system(command), 0);
}

/* 1: opened and inside, 0: refused. */
static int try_open(const char *rel, bool by_parts)
{
	char path[256], text[16] = "";
	ssize_t n = -1;
	int dir, fd;

	snprintf(path, sizeof path, "%s/www", top);
	dir = open(path, O_PATH | O_DIRECTORY);
	ck_assert_int_ge(dir, 0);
	fd = http_beneath_open(dir, rel, O_RDONLY | O_NONBLOCK | O_CLOEXEC, by_parts);
	close(dir);
	if (fd < 0) {
		return 0;
	}
	n = read(fd, text, sizeof text - 1);
	close(fd);
	ck_assert_msg(n == 6 && strcmp(text, "inside") == 0, "%s leads to: %s", rel, text);
	return 1;
}

START_TEST (inside_opens_and_outside_does_not) {
	static const struct {
		const char *rel;
		int kernel, parts; /* what is to be had */
	} t[] = {{"a", 1, 1}, {"sub/b", 1, 1}, {"./sub//b", 1, 1}, {"within/b", 1, 0},
		{"sub/parent/a", 1, 0}, {"sub/../a", 1, 0}, {"none", 0, 0}, {"a/b", 0, 0},
		{"../secret", 0, 0}, {"sub/../../secret", 0, 0}, {"up", 0, 0}, {"absolute", 0, 0},
		{"sub/grandparent/secret", 0, 0}, {"magic/etc/passwd", 0, 0}, {"loop", 0, 0},
		{"/etc/passwd", 0, 0}, {"..", 0, 0}};

	for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
		int got = try_open(t[i].rel, false);

		/* a kernel without openat2 does what the other way does */
		ck_assert_msg(got == t[i].kernel || got == t[i].parts, "%s", t[i].rel);
		ck_assert_msg(try_open(t[i].rel, true) == t[i].parts, "%s by parts", t[i].rel);
	}
}
END_TEST

static Suite *http_beneath_suite(void)
{
	Suite *s = suite_create("http_beneath");
	TCase *t = tcase_create("beneath");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, inside_opens_and_outside_does_not);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(http_beneath_suite)
