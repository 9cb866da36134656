// The commit of the sources that the program was built from.
#pragma once

#include <string_view>

namespace examples {

/// Of at least twelve hexadecimal digits, with "-dirty" behind it if files differed; "" without Git. The build defines
/// it (cmake/write_commit.cmake).
extern const std::string_view commit_of_sources;

}  // namespace examples
