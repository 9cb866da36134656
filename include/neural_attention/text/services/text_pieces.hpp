// TextPieces: a text as a range of pieces, while a thread still makes it. The thread does not wait for the loop: it
// holds what others may need, such as the worker of a TextGenerator.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <exception>
#include <functional>
#include <iterator>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include "neural_attention/core/start_thread.hpp"
#include "neural_attention/text/services/generated_text.hpp"

namespace neural_attention::text {

/// An input range of std::string, to be read once and by one thread.
class TextPieces {
 public:
  /// Takes a piece; whether more is wanted.
  using OnPiece = std::function<bool(std::string_view)>;
  /// Whether more is wanted, also while there is no new piece.
  using Wanted = std::function<bool()>;
  /// generate(on_piece, wanted) makes a text. It calls on_piece for each piece and ends once one of the two was false.
  using Generate = std::function<Continuation(const OnPiece&, const Wanted&)>;

  /// Calls `generate` in another thread.
  explicit TextPieces(Generate generate)
      : thread_(start_thread([this, generate = std::move(generate)] { run(generate); })) {}
  TextPieces(const TextPieces&) = delete;
  TextPieces& operator=(const TextPieces&) = delete;
  /// Ends the text at its next token and waits for that; a text that still waits for a worker gets one first.
  ~TextPieces() {
    {
      const std::lock_guard lock(mutex_);
      wanted_ = false;
    }
    thread_.join();
  }

  class Iterator {
   public:
    using iterator_concept = std::input_iterator_tag;
    using value_type = std::string;
    using difference_type = std::ptrdiff_t;

    Iterator() = default;
    explicit Iterator(TextPieces& pieces) : pieces_(&pieces) {}

    const std::string& operator*() const { return pieces_->piece_.value(); }
    const std::string* operator->() const { return &pieces_->piece_.value(); }
    Iterator& operator++() {
      pieces_->advance();
      return *this;
    }
    void operator++(int) { ++*this; }
    bool operator==(std::default_sentinel_t) const { return !pieces_->piece_; }

   private:
    TextPieces* pieces_ = nullptr;
  };

  /// Waits for the first piece. This and ++ throw what ended the text.
  Iterator begin() {
    advance();
    return Iterator(*this);
  }
  std::default_sentinel_t end() const { return {}; }

  /// All of the text, whose pieces need not be taken any more, once it has ended. Throws what ended it.
  const Continuation& result() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return done_; });
    if (fault_) std::rethrow_exception(fault_);
    return result_;
  }

 private:
  void run(const Generate& generate) {
    Continuation result;
    std::exception_ptr fault;
    try {
      result = generate([this](std::string_view piece) { return give(piece); }, [this] { return wanted(); });
    } catch (...) {
      fault = std::current_exception();
    }
    const std::lock_guard lock(mutex_);
    result_ = std::move(result);
    fault_ = std::move(fault);
    done_ = true;
    changed_.notify_all();
  }

  bool give(std::string_view piece) {
    const std::lock_guard lock(mutex_);
    ready_.emplace_back(piece);
    changed_.notify_all();
    return wanted_;
  }

  bool wanted() {
    const std::lock_guard lock(mutex_);
    return wanted_;
  }

  void advance() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return !ready_.empty() || done_; });
    piece_.reset();
    if (!ready_.empty()) {
      piece_ = std::move(ready_.front());
      ready_.pop_front();
    } else if (fault_) {
      std::rethrow_exception(fault_);
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::string> ready_;
  std::optional<std::string> piece_;  // of the loop; the thread does not touch it
  bool wanted_ = true, done_ = false;
  std::exception_ptr fault_;
  Continuation result_;
  std::thread thread_;
};

}  // namespace neural_attention::text
