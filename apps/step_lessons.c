/* The lessons of tests/drill/lessons, which are part of the program: packet scripts whose comments
 * explain what comes next. Their first line is "// Lesson 3, title: what about (clause)." */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "step.h"

#define PLACE "tests/drill/lessons/"
#define TITLE "// Lesson "

static bool is_lesson(const struct listed_file *f)
{
	return strncmp(f->name, PLACE, strlen(PLACE)) == 0;
}

const struct listed_file *lesson_find(const char *name)
{
	size_t n = strlen(name);

	for (const struct listed_file *f = listed_files; f->name != NULL; f++) {
		const char *base = f->name + strlen(PLACE);

		if (is_lesson(f) && strncmp(base, name, n) == 0 &&
			(base[n] == '\0' || strcmp(base + n, ".pkt") == 0)) {
			return f;
		}
	}
	return NULL;
}

void lessons_list(void)
{
	unsigned told = 0, n = 0;

	for (const struct listed_file *f = listed_files; f->name != NULL; f++) {
		n += is_lesson(f);
	}
	for (unsigned number = 1; told < n && number < 1000; number++) {
		for (const struct listed_file *f = listed_files; f->name != NULL; f++) {
			const char *base = f->name + strlen(PLACE), *text = f->text + strlen(TITLE);
			const char *title = memchr(f->text, ' ', 3);

			if (!is_lesson(f) || title == NULL || strtoul(text, NULL, 10) != number) {
				continue;
			}
			title = strchr(text, ',');
			printf("  %2u  %-20.*s %.*s\n", number, (int)(strlen(base) - 4), base,
				(int)strcspn(title + 2, "\n"), title + 2);
			told++;
		}
	}
	puts("\"tapglass step NAME\" goes through one; the comments beside the lines explain "
	     "them.");
}
