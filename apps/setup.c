/* `tapglass setup`: once, as root, a TAP that stays and that the user may attach to without any
 * privilege; or, for Ubuntu, an AppArmor profile that lets this program have a user namespace.
 * --undo removes what was made. Whatever is changed is printed. */
#define _GNU_SOURCE 1
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "net_choice.h"
#include "options.h"
#include "verbs.h"

#define SETUP_TAP    "tg0"
#define PROFILE_PATH "/etc/apparmor.d/tapglass"
#define PREFIX_LEN   24u
#define NET_DEFAULT  UINT32_C(0xc0000200) /* 192.0.2.0 [5737 3] */

struct setup {
	bool undo, apparmor;
	const char *tap;
	bool has_uid;
	unsigned uid;
	char user[64];
};

static const struct option_spec setup_options[] = {
	{"undo", 0, 'u', NULL, "remove what setup made"},
	{"user", 0, 'U', "USER", "who may attach (default: who called sudo)"},
	{"tap", 0, 't', "NAME", "name of the TAP (" SETUP_TAP ", which --link auto looks for)"},
	{"apparmor", 0, 'a', NULL, "install a profile that allows user namespaces, no TAP"},
	{NULL, 0, 0, NULL, NULL},
};

static int set_user(struct setup *u, const char *name)
{
	const struct passwd *p = getpwnam(name);
	uint64_t n;

	if (p == NULL && parse_u64(name, 0, UINT32_MAX - 1, &n)) {
		p = getpwuid((uid_t)n);
		u->uid = (unsigned)n;
	} else if (p == NULL) {
		return usage_error("--user %s: there is no such user", name);
	}
	if (p != NULL) {
		u->uid = (unsigned)p->pw_uid;
	}
	u->has_uid = true;
	snprintf(u->user, sizeof u->user, "%s", p != NULL ? p->pw_name : name);
	return 0;
}

static int setup_set(void *ctx, int value, const char *arg)
{
	struct setup *u = ctx;

	switch (value) {
	case 'u': u->undo = true; return 0;
	case 'a': u->apparmor = true; return 0;
	case 't':
		if (arg[0] == '\0' || strlen(arg) > 15 || strpbrk(arg, "/ %") != NULL) {
			return usage_error("--tap %s: not a name for an interface", arg);
		}
		u->tap = arg;
		return 0;
	default: return set_user(u, arg);
	}
}

const struct verb_spec setup_spec = {
	.usage = "setup [OPTION]...",
	.about = "Makes a TAP that stays and belongs to you, so that tapglass up needs no root and "
		 "any "
		 "shell reaches\n"
		 "the stack. It is gone after --undo, or when the machine is restarted.",
	.example = "  sudo tapglass setup\n  sudo tapglass setup --undo\n",
	.options = setup_options,
	.set = setup_set,
};

/* ---- AppArmor -------------------------------------------------------------------------------- */

static int fail(const char *what)
{
	struct tg_host_error e = {.errnum = errno};

	snprintf(e.what, sizeof e.what, "%s", what);
	snprintf(e.why, sizeof e.why, "%s", strerror(errno));
	if (errno == EACCES || errno == EPERM) {
		snprintf(e.fix, sizeof e.fix, "run it with sudo");
	}
	tg_host_print_error(&e);
	return EXIT_ENVIRONMENT;
}

/* option: "-r" loads the profile, "-R" takes it out. */
static int apparmor_parser(const char *option)
{
	int status = 0;
	pid_t child = fork();

	if (child == 0) {
		execlp("apparmor_parser", "apparmor_parser", option, PROFILE_PATH, (char *)NULL);
		_exit(127);
	}
	if (child < 0 || waitpid(child, &status, 0) < 0) {
		return -1;
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int apparmor_remove(void)
{
	if (access(PROFILE_PATH, F_OK) != 0) {
		return fail("there is no profile " PROFILE_PATH);
	}
	if (apparmor_parser("-R") != 0) {
		say("apparmor_parser could not take the profile out; it is gone after a restart");
	}
	if (unlink(PROFILE_PATH) < 0) {
		return fail("cannot remove " PROFILE_PATH);
	}
	puts("removed   " PROFILE_PATH);
	return EXIT_OK;
}

static int apparmor_install(void)
{
	char self[512];
	ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
	FILE *f;
	int rc;

	if (n < 0) {
		return fail("cannot find out where this program is");
	}
	self[n] = '\0';
	if (strpbrk(self, "\"\n\\") != NULL) {
		return failure("this program's path does not fit in a profile: %s", self);
	}
	f = fopen(PROFILE_PATH, "we");
	if (f == NULL) {
		return fail("cannot write " PROFILE_PATH);
	}
	fprintf(f,
		"abi <abi/4.0>,\ninclude <tunables/global>\n\n"
		"profile tapglass \"%s\" flags=(unconfined) {\n  userns,\n}\n",
		self);
	if (fclose(f) != 0) {
		return fail("cannot write " PROFILE_PATH);
	}
	rc = apparmor_parser("-r");
	if (rc != 0) {
		unlink(PROFILE_PATH);
		return failure(
			"apparmor_parser does not take the profile (%s); nothing was changed",
			rc == 127 ? "it is not installed" : "its message is above");
	}
	printf("wrote     " PROFILE_PATH ": %s may make user namespaces\n"
	       "undo      sudo tapglass setup --apparmor --undo\n",
		self);
	return EXIT_OK;
}

/* ---- The TAP --------------------------------------------------------------------------------- */

static int tap_remove(const struct setup *u)
{
	struct tg_host_error err;

	if (tg_host_setup_undo(u->tap, &err) < 0) {
		tg_host_print_error(&err);
		return EXIT_ENVIRONMENT;
	}
	printf("removed   TAP %s, with its address\n", u->tap);
	return EXIT_OK;
}

/* Whom it is for: --user, who called sudo, or who we are. */
static void user_choose(struct setup *u)
{
	const char *sudo = getenv("SUDO_UID");
	uint64_t n;
	char text[24];

	if (u->has_uid) {
		return;
	}
	if (sudo == NULL || !parse_u64(sudo, 0, UINT32_MAX - 1, &n)) {
		n = (uint64_t)geteuid();
	}
	snprintf(text, sizeof text, "%llu", (unsigned long long)n);
	set_user(u, text);
}

static int tap_make(struct setup *u)
{
	struct tg_host_error err;
	uint32_t net = NET_DEFAULT;
	struct tg_ip ip;
	char why[160], dotted[16];

	user_choose(u);
	if (!net_choose(NET_ROUTES_PATH, &net, PREFIX_LEN, NULL, why)) {
		return failure("no free network for the TAP: %s", why);
	}
	if (why[0] != '\0') {
		say("%s", why);
	}
	ip = tg_ip4_of(net + 1);
	if (tg_host_setup(u->tap, u->uid, &ip, PREFIX_LEN, &err) < 0) {
		tg_host_print_error(&err);
		return EXIT_ENVIRONMENT;
	}
	printf("made      TAP %s, which stays; %s (uid %u) may attach to it\n", u->tap, u->user,
		u->uid);
	printf("address   %s/%u on %s, and it is up\n", tg_ip_format(&ip, dotted), PREFIX_LEN,
		u->tap);
	printf("undo      sudo tapglass setup --undo%s%s\n",
		strcmp(u->tap, SETUP_TAP) == 0 ? "" : " --tap ",
		strcmp(u->tap, SETUP_TAP) == 0 ? "" : u->tap);
	return EXIT_OK;
}

int setup_main(int argc, char **argv)
{
	struct setup u = {.tap = SETUP_TAP};
	int first, rc = options_parse(argc, argv, &setup_spec, NULL, &u, &first);

	if (rc != OPTIONS_GO) {
		return rc;
	}
	if (u.apparmor) {
		return u.undo ? apparmor_remove() : apparmor_install();
	}
	return u.undo ? tap_remove(&u) : tap_make(&u);
}
