/* Dates of HTTP: written as IMF-fixdate, read in the three forms of RFC 9110 5.6.7. The name of the
 * weekday is read but not compared with the date. */
#include "http_date.h"

#include <string.h>

#define DAY_S 86400

static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
static const char days[] = "ThuFriSatSunMonTueWed"; /* 1970 began on a Thursday */

/* Days from 1970-01-01 to a date of the Gregorian calendar; month from 1. Years begin in March, so
 * that the leap day comes last. */
static int64_t days_of(int64_t year, int month, int day)
{
	int64_t y = month > 2 ? year : year - 1;
	int64_t era = y / 400, in_era = y - era * 400;
	int64_t in_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;

	return era * 146097 + in_era * 365 + in_era / 4 - in_era / 100 + in_year - 719468;
}

static void date_of(int64_t all_days, int64_t *year, int *month, int *day)
{
	int64_t z = all_days + 719468, era = z / 146097, n = z - era * 146097;
	int64_t y = (n - n / 1460 + n / 36524 - n / 146096) / 365;
	int64_t in_year = n - (365 * y + y / 4 - y / 100), m = (5 * in_year + 2) / 153;

	*day = (int)(in_year - (153 * m + 2) / 5 + 1);
	*month = (int)(m < 10 ? m + 3 : m - 9);
	*year = era * 400 + y + (*month <= 2 ? 1 : 0);
}

static void put2(char *to, int64_t v)
{
	to[0] = (char)('0' + v / 10 % 10);
	to[1] = (char)('0' + v % 10);
}

void http_date_format(int64_t when_s, char buf[HTTP_DATE_BYTES])
{
	static const char form[] = "Thu, 01 Jan 1970 00:00:00 GMT";
	int64_t day, second, year;
	int month, mday;

	buf[0] = '\0';
	if (when_s < INT64_C(-62135596800) || when_s > INT64_C(253402300799)) {
		return;
	}
	day = (when_s + INT64_C(62135596800)) / DAY_S - 719162;
	second = when_s - day * DAY_S;
	date_of(day, &year, &month, &mday);
	memcpy(buf, form, sizeof form);
	memcpy(buf, days + 3 * ((day % 7 + 7) % 7), 3);
	put2(buf + 5, mday);
	memcpy(buf + 8, months + 3 * (size_t)(month - 1), 3);
	put2(buf + 12, year / 100);
	put2(buf + 14, year % 100);
	put2(buf + 17, second / 3600);
	put2(buf + 20, second / 60 % 60);
	put2(buf + 23, second % 60);
}

/* ---- Reading --------------------------------------------------------------------------------- */

/* What the forms have in common, as found. */
struct parts {
	int day, month, year, hour, minute, second;
};

static bool number(const char *p, int digits, int *out)
{
	*out = 0;
	for (int i = 0; i < digits; i++) {
		if (p[i] < '0' || p[i] > '9') {
			return false;
		}
		*out = *out * 10 + (p[i] - '0');
	}
	return true;
}

static bool month_name(const char *p, int *out)
{
	for (int i = 0; i < 12; i++) {
		if (memcmp(p, months + 3 * (size_t)i, 3) == 0) {
			*out = i + 1;
			return true;
		}
	}
	return false;
}

/* hh:mm:ss */
static bool clock_time(const char *p, struct parts *t)
{
	return p[2] == ':' && p[5] == ':' && number(p, 2, &t->hour) &&
	       number(p + 3, 2, &t->minute) && number(p + 6, 2, &t->second);
}

static bool short_day(const char *p)
{
	for (int i = 0; i < 7; i++) {
		if (memcmp(p, days + 3 * (size_t)i, 3) == 0) {
			return true;
		}
	}
	return false;
}

/* Sun, 06 Nov 1994 08:49:37 GMT */
static bool imf(const char *p, size_t n, struct parts *t)
{
	return n == 29 && short_day(p) && memcmp(p + 3, ", ", 2) == 0 &&
	       number(p + 5, 2, &t->day) && p[7] == ' ' && month_name(p + 8, &t->month) &&
	       p[11] == ' ' && number(p + 12, 4, &t->year) && p[16] == ' ' &&
	       clock_time(p + 17, t) && memcmp(p + 25, " GMT", 4) == 0;
}

/* Sun Nov  6 08:49:37 1994 */
static bool asctime_form(const char *p, size_t n, struct parts *t)
{
	bool padded = n == 24 && p[8] == ' ';

	return n == 24 && short_day(p) && p[3] == ' ' && month_name(p + 4, &t->month) &&
	       p[7] == ' ' && number(padded ? p + 9 : p + 8, padded ? 1 : 2, &t->day) &&
	       p[10] == ' ' && clock_time(p + 11, t) && p[19] == ' ' && number(p + 20, 4, &t->year);
}

/* Sunday, 06-Nov-94 08:49:37 GMT */
static bool rfc850(const char *p, size_t n, struct parts *t, int64_t now_s)
{
	const char *comma = memchr(p, ',', n);
	const char *d = comma != NULL ? comma + 2 : NULL;
	int64_t year;
	int now_year, month, mday;

	if (comma == NULL || comma - p < 6 || n - (size_t)(comma - p) != 24 || !short_day(p) ||
		memcmp(comma - 3, "day", 3) != 0 || comma[1] != ' ') {
		return false;
	}
	if (!(number(d, 2, &t->day) && d[2] == '-' && month_name(d + 3, &t->month) && d[6] == '-' &&
		    number(d + 7, 2, &t->year) && d[9] == ' ' && clock_time(d + 10, t) &&
		    memcmp(d + 18, " GMT", 4) == 0)) {
		return false;
	}
	/* [9110 5.6.7] what looks more than 50 years ahead is in the past */
	date_of(now_s / DAY_S, &year, &month, &mday);
	now_year = (int)year;
	t->year += now_year / 100 * 100;
	t->year -= t->year > now_year + 50 ? 100 : 0;
	return true;
}

bool http_date_parse(const char *p, size_t n, int64_t now_s, int64_t *out_s)
{
	static const char length[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	struct parts t = {0};
	bool leap;

	if (!imf(p, n, &t) && !asctime_form(p, n, &t) && !rfc850(p, n, &t, now_s)) {
		return false;
	}
	leap = t.year % 4 == 0 && (t.year % 100 != 0 || t.year % 400 == 0);
	if (t.year < 1 || t.day < 1 ||
		t.day > length[t.month - 1] + (t.month == 2 && leap ? 1 : 0) || t.hour > 23 ||
		t.minute > 59 || t.second > 60) {
		return false;
	}
	*out_s = days_of(t.year, t.month, t.day) * DAY_S + t.hour * 3600 + t.minute * 60 + t.second;
	return true;
}
