# For CMAKE_PROJECT_TOP_LEVEL_INCLUDES: the presets' provider of packages is asked for two that are missing. The first comes with
# a Debian package that every build needs, the second with one of its own.

include("${CONSUMER_SOURCE_DIR}/cmake/dependency_provider.cmake")
set(neural_attention_package_clairvoyance zlib1g-dev)
set(neural_attention_package_telepathy zlib1g)
find_package(clairvoyance QUIET)
find_package(telepathy QUIET)
