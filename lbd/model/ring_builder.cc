// SPDX-License-Identifier: Apache-2.0
#include "lbd/model/ring_builder.h"

#include "lbd/model/maglev.h"
#include "lbd/model/rendezvous.h"

namespace lb::model {

const RingBuilder& GetRingBuilder(RingScheme scheme) {
  static const RendezvousBuilder rendezvous;
  static const MaglevBuilder maglev;
  switch (scheme) {
    case RingScheme::kMaglev:
      return maglev;
    case RingScheme::kRendezvous:
      break;
  }
  return rendezvous;
}

}  // namespace lb::model
