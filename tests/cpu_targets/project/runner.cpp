// The program of all tests.
#define BOOST_TEST_MODULE kernels
#include <boost/test/included/unit_test.hpp>
