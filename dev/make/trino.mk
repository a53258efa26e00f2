# A real Trino for the views: its libraries come from Maven Central, some 650 MB, once.

TRINO = .cache/trino-406
MVN = mvn --quiet --batch-mode --file tests/trino/pom.xml
PLUGIN = org.apache.maven.plugins:maven-dependency-plugin:3.6.1

$(TRINO)/.done: tests/trino/pom.xml tests/trino/Hive.java
	@command -v mvn >/dev/null && command -v javac >/dev/null || \
	  { echo "Trino needs Maven and a JDK 17 (Debian: maven, openjdk-17-jdk-headless)" >&2; exit 1; }
	@echo "fetching Trino"
	@# Maven unpacks nothing for which it has a marker there.
	@rm -rf $(@D) tests/trino/target && mkdir -p $(@D)
	@$(MVN) -P server $(PLUGIN):copy-dependencies -DincludeScope=runtime \
	  -DoutputDirectory=$(abspath $(@D))/lib
	@$(MVN) -P hive $(PLUGIN):copy-dependencies -DincludeScope=runtime \
	  -DoutputDirectory=$(abspath $(@D))/plugin/hive
	@javac -d $(@D)/plugin/hive/own -cp '$(@D)/plugin/hive/*' tests/trino/Hive.java
	@mkdir -p $(@D)/plugin/hive/own/META-INF/services
	@echo Hive > $(@D)/plugin/hive/own/META-INF/services/io.trino.spi.Plugin
	@$(MVN) $(PLUGIN):unpack -Dartifact=io.trino:trino-iceberg:406:zip \
	  -DoutputDirectory=$(abspath $(@D))/plugin
	@touch $@

.PHONY: test-trino
test-trino: $(LOCAL) $(TRINO)/.done ## the views and saved queries on a real Trino; writes docs/generated/sql.md
	@TRINO_HOME=$(TRINO) TRINO_REPORT=docs/generated/sql.md $(PYTEST) -q tests/trino
