# NGINX's log of some seconds, in one line: requests, those that failed (5xx), and the median and 95th percentile of their
# seconds. With -v of="ADDRESS ADDRESS", only requests that one of these replicas answered. Checks of health are left out, and what NGINX
# answers by itself, such as redirects to HTTPS: that is quick whatever web does.
BEGIN { n = split(of, list, " "); for (i = 1; i <= n; i++) mine[list[i] ":8000"] = 1 }
!match($0, /"uri":"\/health/) && match($0, /"status":[0-9]+/) {
  status = substr($0, RSTART + 9, RLENGTH - 9)
  match($0, /"upstream":"[^"]*"/)
  upstream = substr($0, RSTART + 12, RLENGTH - 13)
  sub(/.*[ ,]/, "", upstream)
  if (of != "" ? !(upstream in mine) : upstream == "" && status < 500) next
  match($0, /"seconds":[0-9.]+/)
  # A histogram, by the millisecond.
  ms = int(substr($0, RSTART + 10, RLENGTH - 10) * 1000)
  seen[ms]++
  if (ms > most) most = ms
  requests++
  if (status >= 500) failed++
}
END {
  for (ms = 0; ms <= most; ms++) {
    sum += seen[ms]
    if (p50 == "" && sum >= requests / 2) p50 = ms
    if (p95 == "" && sum >= requests * 0.95) p95 = ms
  }
  print requests + 0, failed + 0, p50 + 0, p95 + 0
}
