# A real Trino for the views: its libraries come from Maven Central, some 260 MB, once.

TRINO = .cache/trino-435
MVN = mvn --quiet --batch-mode --file tests/trino/pom.xml
PLUGIN = org.apache.maven.plugins:maven-dependency-plugin:3.6.1

$(TRINO)/.done: tests/trino/pom.xml
	@command -v mvn >/dev/null && command -v javac >/dev/null || \
	  { echo "Trino needs Maven and a JDK 17 (Debian: maven, openjdk-17-jdk-headless)" >&2; exit 1; }
	@echo "fetching Trino"
	@rm -rf $(@D) && mkdir -p $(@D)
	@$(MVN) $(PLUGIN):copy-dependencies -DincludeScope=runtime \
	  -DoutputDirectory=$(abspath $(@D))/lib
	@$(MVN) $(PLUGIN):unpack -Dartifact=io.trino:trino-hive:435:zip \
	  -DoutputDirectory=$(abspath $(@D))/plugin
	@touch $@

.PHONY: test-trino
test-trino: $(LOCAL) $(TRINO)/.done ## the views and saved queries on a real Trino; writes docs/generated/sql.md
	@TRINO_HOME=$(TRINO) TRINO_REPORT=docs/generated/sql.md $(PYTEST) -q tests/trino
