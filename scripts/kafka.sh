#!/usr/bin/env bash
# Installs Apache Kafka's published jars into the user's cache: pinned versions, pinned digests, atomically, once. Tests start
# their brokers from them. It must not start anything or write anywhere else. Prints the folder of the jars on success.
#
#   TOLLGATE_KAFKA_JARS=path        use the jars in this folder (an unpacked Kafka's `libs`); nothing is fetched
#   TOLLGATE_KAFKA_DIR=path         install here instead of the user's cache
#   TOLLGATE_KAFKA_REPOSITORY=url   fetch from this Maven repository with curl instead of with Maven and its settings
#   JAVA_HOME=path                  the Java that must be there to run them
set -euo pipefail

here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
readonly pins=$here/kafka.jars version=4.4.0 log4j=2.25.5 oldest=17
readonly remedy='install Maven (Debian: apt-get install maven), or set TOLLGATE_KAFKA_REPOSITORY=url of a Maven repository, or TOLLGATE_KAFKA_JARS=path to the `libs` of an unpacked Kafka'

say() { printf 'kafka: %s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }

java=${JAVA_HOME:+$JAVA_HOME/bin/}java
command -v "$java" >/dev/null \
  || fail "Java is missing, tests run a real Kafka on it: install Java $oldest or newer (Debian: apt-get install openjdk-17-jre-headless), or set JAVA_HOME, or name a running broker with KAFKA_BOOTSTRAP_SERVERS"
found=$("$java" -version 2>&1 | sed -n 's/.* version "\([0-9]*\).*/\1/p' | head -n1)
((${found:-0} >= oldest)) || fail "Java ${found:-of an unknown version} is too old: install Java $oldest or newer, or set JAVA_HOME"

if [[ -n ${TOLLGATE_KAFKA_JARS:-} ]]; then
  compgen -G "$TOLLGATE_KAFKA_JARS/kafka_*.jar" >/dev/null \
    || fail "there is no kafka_*.jar in TOLLGATE_KAFKA_JARS=$TOLLGATE_KAFKA_JARS; unset it or correct it"
  printf '%s\n' "$TOLLGATE_KAFKA_JARS"
  exit 0
fi

if [[ -z ${TOLLGATE_KAFKA_DIR:-} && -z ${XDG_CACHE_HOME:-} && -z ${HOME:-} ]]; then
  fail 'there is no HOME to keep Kafka in; set TOLLGATE_KAFKA_DIR=path'
fi
wanted=$(sha256sum -- "$pins" | cut -d' ' -f1)
# Other pins, another folder: a clone with older ones may be running from its own.
folder=${TOLLGATE_KAFKA_DIR:-${XDG_CACHE_HOME:-${HOME:-}/.cache}/tollgate/kafka/$version-${wanted:0:8}}
jars=$folder/jars stamp=$folder/kafka.jars.sha256
installed() { [[ -d $jars && -f $stamp && $(<"$stamp") == "$wanted" ]]; }
if installed; then
  printf '%s\n' "$jars"
  exit 0
fi

mkdir -p -- "$folder" || fail "cannot create $folder; set TOLLGATE_KAFKA_DIR=path to a directory you may write to"
exec 9>"$folder/.lock"
flock 9 || fail "cannot lock $folder/.lock"
if installed; then # another set-up finished while this one waited
  printf '%s\n' "$jars"
  exit 0
fi
work=$(mktemp -d -- "$folder/.install.XXXXXX")
trap 'rm -rf -- "$work"' EXIT
mkdir -- "$work/jars"

by_maven() {
  command -v mvn >/dev/null || fail "Maven is missing, it fetches Kafka $version: $remedy"
  cat >"$work/pom.xml" <<POM
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>tollgate</groupId><artifactId>kafka</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>$version</version></dependency>
    <dependency>
      <groupId>org.apache.kafka</groupId><artifactId>kafka-tools</artifactId><version>$version</version>
      <exclusions><exclusion><groupId>*</groupId><artifactId>*</artifactId></exclusion></exclusions>
    </dependency>
    <dependency><groupId>org.apache.logging.log4j</groupId><artifactId>log4j-slf4j-impl</artifactId><version>$log4j</version></dependency>
  </dependencies>
</project>
POM
  mvn -q -B -f "$work/pom.xml" dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$work/jars" >"$work/maven.txt" 2>&1 \
    || fail "Maven could not fetch Kafka $version ($(grep -m1 -oE 'Could not [^(]*' "$work/maven.txt" || echo 'no reason given')): it needs to reach a repository, or settings.xml to name one; else $remedy"
}

by_curl() {
  command -v curl >/dev/null || fail 'curl is missing, it fetches from TOLLGATE_KAFKA_REPOSITORY: install it (Debian: apt-get install curl)'
  local path
  while read -r _ path; do
    curl -fsSL --retry 1 -o "$work/jars/${path##*/}" -- "${TOLLGATE_KAFKA_REPOSITORY%/}/$path" \
      || fail "$path could not be fetched from TOLLGATE_KAFKA_REPOSITORY; is it the base of a Maven repository?"
  done < <(grep -v '^#' "$pins")
}

say "fetching Apache Kafka $version (43 MB, once per user; the next clone finds it in $folder)"
if [[ -n ${TOLLGATE_KAFKA_REPOSITORY:-} ]]; then by_curl; else by_maven; fi

say 'checking the jars'
(cd -- "$work/jars" && sed -n 's,^\([0-9a-f]\{64\}\)  .*/,\1  ,p' "$pins" | sha256sum --check --quiet --strict >&2) \
  || fail "a jar's sha256 is not the pinned one, or it is missing (see above); nothing was installed: fetch it again, or $remedy"
[[ $(find "$work/jars" -name '*.jar' | wc -l) == "$(grep -vc '^#' "$pins")" ]] \
  || fail "jars came that scripts/kafka.jars does not pin; nothing was installed: $remedy"
rm -rf -- "$jars"
mv -- "$work/jars" "$jars"
printf '%s\n' "$wanted" >"$work/stamp"
mv -f -- "$work/stamp" "$stamp"
say "installed $jars"
printf '%s\n' "$jars"
