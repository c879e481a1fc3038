// DNS-SD for the TREL of OpenThread's POSIX host, over OpenThread's own
// multicast DNS. The host leaves this to the program around it: without such a
// program it finds nobody. It is linked into the host that the tests run.

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include <map>
#include <string>
#include <vector>

#include <openthread/instance.h>
#include <openthread/mdns.h>
#include <openthread/openthread-system.h>
#include <openthread/platform/trel.h>

namespace {

constexpr char kType[] = "_trel._udp";

// An instance of the service, as far as it is known.
struct Found
{
    std::string               host;
    uint16_t                  port = 0;
    std::vector<uint8_t>      txt;
    std::vector<otIp6Address> addresses;
};

uint32_t                     sLink;
bool                         sEnabled, sBrowsing, sWantBrowse, sWantService, sWantRemove;
uint16_t                     sPort;
std::vector<uint8_t>         sText;
std::string                  sName; // of what is registered
std::map<std::string, Found> sFound;

bool IsLinkLocal(const otIp6Address &a) { return a.mFields.m8[0] == 0xfe && (a.mFields.m8[1] & 0xc0) == 0x80; }
bool IsIp4(const otIp6Address &a) { return a.mFields.m32[0] == 0 && a.mFields.m32[1] == 0; }

std::vector<otIp6Address> OwnAddresses()
{
    std::vector<otIp6Address> all;
    ifaddrs                  *list = nullptr;
    if (getifaddrs(&list) != 0)
    {
        return all;
    }
    for (ifaddrs *i = list; i != nullptr; i = i->ifa_next)
    {
        if (i->ifa_addr != nullptr && i->ifa_addr->sa_family == AF_INET6 && if_nametoindex(i->ifa_name) == sLink)
        {
            otIp6Address a;
            memcpy(&a, &reinterpret_cast<sockaddr_in6 *>(i->ifa_addr)->sin6_addr, sizeof(a));
            all.push_back(a);
        }
    }
    freeifaddrs(list);
    return all;
}

// Tell passes on what is known of an instance, once that is all.
void Tell(otInstance *aInstance, const Found &aFound, bool aRemoved)
{
    otPlatTrelPeerInfo info  = {};
    const otIp6Address *best = nullptr;

    for (const otIp6Address &a : aFound.addresses)
    {
        if (!IsIp4(a) && (best == nullptr || IsLinkLocal(a)))
        {
            best = &a;
        }
    }
    if (aFound.txt.empty() || (!aRemoved && (best == nullptr || aFound.port == 0)))
    {
        return;
    }
    info.mRemoved   = aRemoved;
    info.mTxtData   = aFound.txt.data();
    info.mTxtLength = static_cast<uint16_t>(aFound.txt.size());
    if (best != nullptr)
    {
        info.mSockAddr.mAddress = *best;
    }
    info.mSockAddr.mPort = aFound.port;
    otPlatTrelHandleDiscoveredPeerInfo(aInstance, &info);
}

void HandleAddress(otInstance *aInstance, const otMdnsAddressResult *aResult)
{
    for (auto &f : sFound)
    {
        if (f.second.host == aResult->mHostName)
        {
            f.second.addresses.clear();
            for (uint16_t i = 0; i < aResult->mAddressesLength; i++)
            {
                f.second.addresses.push_back(aResult->mAddresses[i].mAddress);
            }
            Tell(aInstance, f.second, false);
        }
    }
}

void HandleSrv(otInstance *aInstance, const otMdnsSrvResult *aResult)
{
    auto f = sFound.find(aResult->mServiceInstance);
    if (f == sFound.end() || aResult->mTtl == 0)
    {
        return;
    }
    f->second.port = aResult->mPort;
    if (f->second.host != aResult->mHostName)
    {
        f->second.host             = aResult->mHostName;
        otMdnsAddressResolver host = {f->second.host.c_str(), sLink, HandleAddress};
        otMdnsStartIp6AddressResolver(aInstance, &host);
    }
    Tell(aInstance, f->second, false);
}

void HandleTxt(otInstance *aInstance, const otMdnsTxtResult *aResult)
{
    auto f = sFound.find(aResult->mServiceInstance);
    if (f == sFound.end() || aResult->mTtl == 0)
    {
        return;
    }
    f->second.txt.assign(aResult->mTxtData, aResult->mTxtData + aResult->mTxtDataLength);
    Tell(aInstance, f->second, false);
}

void HandleBrowse(otInstance *aInstance, const otMdnsBrowseResult *aResult)
{
    std::string          name = aResult->mServiceInstance;
    otMdnsSrvResolver    srv  = {name.c_str(), kType, sLink, HandleSrv};
    otMdnsTxtResolver    txt  = {name.c_str(), kType, sLink, HandleTxt};
    auto                 f    = sFound.find(name);

    if (name == sName)
    {
        return;
    }
    if (aResult->mTtl == 0 && f != sFound.end())
    {
        otMdnsStopSrvResolver(aInstance, &srv);
        otMdnsStopTxtResolver(aInstance, &txt);
        if (!f->second.host.empty())
        {
            otMdnsAddressResolver host = {f->second.host.c_str(), sLink, HandleAddress};
            otMdnsStopIp6AddressResolver(aInstance, &host);
        }
        Tell(aInstance, f->second, true);
        sFound.erase(f);
    }
    else if (aResult->mTtl != 0 && f == sFound.end())
    {
        sFound[name] = Found();
        otMdnsStartSrvResolver(aInstance, &srv);
        otMdnsStartTxtResolver(aInstance, &txt);
    }
}

void Unregister(otInstance *aInstance)
{
    otMdnsService service = {};
    otMdnsHost    host    = {};

    if (sName.empty())
    {
        return;
    }
    service.mHostName = host.mHostName = service.mServiceInstance = sName.c_str();
    service.mServiceType                                           = kType;
    service.mInfraIfIndex = host.mInfraIfIndex = sLink;
    otMdnsUnregisterService(aInstance, &service);
    otMdnsUnregisterHost(aInstance, &host);
    sName.clear();
}

// Register registers the service under the extended address, which the text
// begins with.
void Register(otInstance *aInstance)
{
    std::vector<otIp6Address> addresses = OwnAddresses();
    otMdnsService             service   = {};
    otMdnsHost                host      = {};
    char                      name[17];

    for (unsigned i = 0; i < 8; i++)
    {
        snprintf(&name[2 * i], 3, "%02x", sText.size() >= 12 ? sText[4 + i] : 0);
    }
    if (sName != name)
    {
        Unregister(aInstance);
        sName = name;
    }
    host.mHostName        = sName.c_str();
    host.mAddresses       = addresses.data();
    host.mAddressesLength = static_cast<uint16_t>(addresses.size());
    host.mInfraIfIndex    = sLink;
    otMdnsRegisterHost(aInstance, &host, 0, nullptr);
    service.mHostName = service.mServiceInstance = sName.c_str();
    service.mServiceType                         = kType;
    service.mTxtData                             = sText.data();
    service.mTxtDataLength                       = static_cast<uint16_t>(sText.size());
    service.mPort                                = sPort;
    service.mInfraIfIndex                        = sLink;
    otMdnsRegisterService(aInstance, &service, 0, nullptr);
}

} // namespace

void trelDnssdInitialize(const char *aTrelNetif) { sLink = if_nametoindex(aTrelNetif); }

void trelDnssdStartBrowse(void) { sWantBrowse = true; }

void trelDnssdStopBrowse(void) { sWantBrowse = false; }

void trelDnssdRegisterService(uint16_t aPort, const uint8_t *aTxtData, uint8_t aTxtLength)
{
    sPort = aPort;
    sText.assign(aTxtData, aTxtData + aTxtLength);
    sWantService = true;
    sWantRemove  = false;
}

void trelDnssdRemoveService(void)
{
    sWantService = false;
    sWantRemove  = true;
}

// The instance is known here only.
void trelDnssdProcess(otInstance *aInstance, const otSysMainloopContext *)
{
    otMdnsBrowser browser = {kType, nullptr, sLink, HandleBrowse};

    if (!sEnabled)
    {
        sEnabled = otMdnsIsEnabled(aInstance) || otMdnsSetEnabled(aInstance, true, sLink) == OT_ERROR_NONE;
        if (!sEnabled)
        {
            return;
        }
    }
    if (sWantBrowse != sBrowsing)
    {
        sBrowsing = sWantBrowse;
        if (sBrowsing)
        {
            otMdnsStartBrowser(aInstance, &browser);
        }
        else
        {
            otMdnsStopBrowser(aInstance, &browser);
            sFound.clear();
        }
    }
    if (sWantService)
    {
        sWantService = false;
        Register(aInstance);
    }
    if (sWantRemove)
    {
        sWantRemove = false;
        Unregister(aInstance);
    }
}
