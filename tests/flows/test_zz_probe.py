import time
from tests.flows.asks import Asker
def test_probe(asker: Asker, backup):
    t=time.time()
    n=0; from collections import Counter
    seen=Counter()
    for reader in ("north","east","east.north","auditor","idle"):
        t0=time.time(); k=0
        seenmarks=set()
        from tests.flows.canaries import marks_in
        for ask in asker.reads(reader,"zh"):
            a=asker.ask(ask); k+=1; seen[a.status]+=1
            seenmarks|=marks_in(a.text())
            l=asker.exchange.leaks(reader.split(".")[0],a.text())
            if l or a.status>=500 or a.status not in(200,403): print(reader,ask.path,a.status,list(l)[:5], "")
        print(reader,k,time.time()-t0, sorted(seenmarks))
    print(seen)
    from collections import Counter
    print(Counter((n.noun,n.mark) for n in asker.exchange.named))
