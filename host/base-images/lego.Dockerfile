# The stand-in for lego's image, of Debian's package. It is made only where HTTPS is on (compose/https-acme.yml).
ARG DEBIAN=stand-in/debian:forky
FROM ${DEBIAN} AS lego
RUN apt-get update && apt-get install --yes --no-install-recommends lego ca-certificates && rm -rf /var/lib/apt/lists/*
RUN mv /usr/bin/lego /lego
ENTRYPOINT ["/lego"]
